#pragma once

// The AMX products of packed weights with a model of the tiles instead of the instructions: what is left
// needs AVX-512 with VNNI.
#include "device/cpu/table.h"

namespace hearth::cpu::amx_emulated {

constexpr uint32_t packed_count = 9;
extern const PackedKernels packed[packed_count];

}  // namespace hearth::cpu::amx_emulated
