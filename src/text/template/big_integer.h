#pragma once

#include <boost/multiprecision/cpp_int.hpp>

#include "text/template/object.h"

namespace hearth::tmpl {

// Without expression templates: an intermediate result is a value and not a reference to its operands.
using BigInt =
    boost::multiprecision::number<boost::multiprecision::cpp_int_backend<>, boost::multiprecision::et_off>;

// An integer that does not fit 64 bits; smaller ones are always stored inline.
struct BigInteger : Object {
  static constexpr Kind tag = Kind::big_integer;
  explicit BigInteger(BigInt number) : Object(tag), value(std::move(number)) {}
  BigInt value;
};

}  // namespace hearth::tmpl
