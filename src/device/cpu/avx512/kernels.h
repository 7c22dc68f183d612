#pragma once

// What the files of this folder give to its table.cpp.
#include "device/cpu/table.h"

namespace hearth::cpu::avx512 {

extern const MatmulKernels matmul;
extern const KvKernels kv[4];
extern const RowKernels rows;
extern const AttendKernels attend;
extern const StateKernels state;

}  // namespace hearth::cpu::avx512
