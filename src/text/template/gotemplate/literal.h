#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "text/template/gotemplate/value.h"

namespace hearth::gotmpl {

// A number or character constant of Go (decimal, 0x, 0o, 0b, leading 0, with _, floats with exponents) as
// int64 or double; nothing if it is none, complex, or too large.
std::optional<Value> number_of(std::string_view literal);

// The bytes of "..." or `...` (quotes included); nothing if an escape is wrong.
std::optional<std::string> unquoted(std::string_view literal);

}  // namespace hearth::gotmpl
