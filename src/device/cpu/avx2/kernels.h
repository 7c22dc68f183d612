#pragma once

// What the files of this folder give to its table.cpp.
#include "device/cpu/packed.h"
#include "device/cpu/table.h"

namespace hearth::cpu::avx2 {

extern const MatmulKernels matmul;
extern const KvKernels kv[4];
extern const RowKernels rows;
extern const AttendKernels attend;
extern const PackedKernels packed[packed_form_count];
extern const PeakKernel peak;
extern const StateKernels state;
void round_row(const float* x, uint32_t cols, uint32_t together, void* out);

}  // namespace hearth::cpu::avx2
