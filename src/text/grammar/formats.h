#pragma once

#include <optional>
#include <string_view>

namespace hearth::grammar {

// The regular expression for a `format` of strings; empty for formats that only describe; none for unknown
// ones.
std::optional<std::string_view> format_pattern(std::string_view format);

// A pattern that matches the same without look-around, for those that common tools write; otherwise the
// pattern.
std::string_view known_equivalent(std::string_view pattern);

}  // namespace hearth::grammar
