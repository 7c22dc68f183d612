#pragma once

#include <string>

#include "base/json.h"

namespace hearth::test {

// A plain JSON Schema validator for the tests, written against the specification and not against the grammar:
// the keywords that grammars keep, with properties beyond the declared ones allowed unless said otherwise.
// Empty if the value is valid, else what is wrong with it.
std::string why_invalid(const Json& value, const Json& schema, const Json& root);

}  // namespace hearth::test
