#pragma once

#include <cstddef>
#include <cstdint>

#include "device/cpu/packed.h"

namespace hearth::cpu {

// The packed form of a weight type (packed.h); null if it has none.
const PackedForm* packed_form(uint32_t type) noexcept;

// Whole strips for `rows` rows of `cols` columns (a multiple of the form's block).
uint64_t packed_bytes(const PackedForm& form, uint64_t rows, uint64_t cols) noexcept;

// Weaves `rows` ≤ 16 rows, `row_bytes` apart, into one strip; missing rows get scale 0.
void pack_strip(const PackedForm& form, const std::byte* rows_data, size_t row_bytes, uint32_t rows,
                uint32_t cols, std::byte* strip) noexcept;

}  // namespace hearth::cpu
