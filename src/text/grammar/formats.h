#pragma once

#include <optional>
#include <string_view>

namespace hearth::grammar {

// The regular expression for a `format` of strings; empty for formats that only describe; none for unknown
// ones.
std::optional<std::string_view> format_pattern(std::string_view format);

}  // namespace hearth::grammar
