#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "text/template/jinja/number.h"

namespace hearth::tmpl::jinja {

// One conversion of a format string, by either of the two notations.
struct FormatSpec {
  char32_t fill = ' ';
  char align = 0;   // < > ^ =, 0 for the default of the type
  char sign = '-';  // - + or blank
  bool alternate = false;
  char grouping = 0;  // , or _
  int64_t width = 0;
  int64_t precision = -1;
  char type = 0;  // s d x X o b f F e E g G %, 0 for none
};

// A number without its padding. Throws when the type does not fit the number.
std::string format_integer(const BigInt& value, const FormatSpec& spec);
std::string format_double(double value, const FormatSpec& spec);

// Appends a text or number padded to its width.
void append_padded(Evaluator& evaluator, const Marked& body, const FormatSpec& spec, char default_align,
                   Marked& out);

}  // namespace hearth::tmpl::jinja
