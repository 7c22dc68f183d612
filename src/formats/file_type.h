#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace hearth {

// The name of a GGUF's general.file_type ("Q4_K_M" for 15); "unknown" for numbers without one.
std::string_view file_type_name(uint64_t number) noexcept;
// The number of a name, whatever its case; none for unknown names.
std::optional<uint32_t> find_file_type(std::string_view name) noexcept;

}  // namespace hearth
