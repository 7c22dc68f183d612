#pragma once

#include "device/cpu/table.h"

namespace hearth::cpu::amx {

extern const MatmulKernels matmul;
extern const AttendKernels attend;
extern const PeakKernel peak;

}  // namespace hearth::cpu::amx
