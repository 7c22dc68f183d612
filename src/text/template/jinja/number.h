#pragma once

#include "text/template/big_integer.h"
#include "text/template/jinja/python.h"

// Integers of any size.
namespace hearth::tmpl::jinja {

BigInt big(const Value& value);  // of an integral value
Value integer(Evaluator& evaluator, BigInt value);

}  // namespace hearth::tmpl::jinja
