#pragma once

#include <string_view>

// What of a machine has to do with its devices; the rest does not get into a record.
namespace hearth {

bool relevant_variable(std::string_view name) noexcept;
// Only whether it is set matters; its value is an id.
bool variable_is_a_sign(std::string_view name) noexcept;
bool relevant_log_line(std::string_view line) noexcept;
bool relevant_kernel_argument(std::string_view word) noexcept;

}  // namespace hearth
