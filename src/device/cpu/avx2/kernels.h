#pragma once

// What the files of this folder give to its table.cpp.
#include "device/cpu/table.h"

namespace hearth::cpu::avx2 {

extern const MatmulKernels matmul;
extern const KvKernels kv[4];
extern const RowKernels rows;

}  // namespace hearth::cpu::avx2
