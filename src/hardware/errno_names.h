#pragma once

#include <string>
#include <string_view>

namespace hearth {

// "EACCES"; a number that has no name here as "E42".
std::string errno_name(int error);
// The inverse; 0 for what is neither.
int errno_named(std::string_view name) noexcept;

}  // namespace hearth
