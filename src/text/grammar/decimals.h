#pragma once

#include <optional>
#include <string>

#include "base/json.h"
#include "text/grammar/tree.h"

namespace hearth::grammar {

// A number as it is written without an exponent.
struct Decimal {
  bool negative = false;
  std::string digits = "0";  // before the point, without leading zeros
  std::string fraction;      // behind it, without trailing zeros

  bool is_zero() const { return digits == "0" && fraction.empty(); }
};

// The shortest decimal that reads back as the number.
Decimal to_decimal(const Json& number);
int compare(const Decimal& a, const Decimal& b);

struct Bound {
  Decimal value;
  bool exclusive = false;
};

// All integers between the bounds (absent: none), written with up to 18 digits or as many as the bounds have.
NodeId integers_between(Tree& tree, const std::optional<Bound>& low, const std::optional<Bound>& high);

// Numbers between the bounds with up to 15 digits in all, written without an exponent. So few digits keep
// their order when they are rounded to double precision, so no text ends up beyond a bound.
NodeId numbers_between(Tree& tree, const std::optional<Bound>& low, const std::optional<Bound>& high);

}  // namespace hearth::grammar
