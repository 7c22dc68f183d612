#pragma once

#include "device/cpu/table.h"

namespace hearth::cpu::amx {

constexpr uint32_t packed_count = 9;

extern const MatmulKernels matmul;
extern const PackedKernels packed[packed_count];
extern const AttendKernels attend;
extern const PeakKernel peak;

}  // namespace hearth::cpu::amx
