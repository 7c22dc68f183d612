#pragma once

// The portable kernels: plain C++, every type through TypeInfo::decode. They are the reference that the
// kernels of all other sets are tested against, so they are written to be read.
#include "device/cpu/table.h"

namespace hearth::cpu::portable {

extern const MatmulKernels matmul;
extern const KvKernels kv[4];
extern const RowKernels rows;
extern const AttendKernels attend;
extern const PeakKernel peak;
extern const StateKernels state;

// Σ a[i] · b[i], summed in eight lanes.
float dot(const float* a, const float* b, uint32_t n);

}  // namespace hearth::cpu::portable
