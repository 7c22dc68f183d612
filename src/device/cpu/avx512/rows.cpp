#include "device/cpu/avx512/kernels.h"
#include "device/cpu/avx512/vec.h"

#include "device/cpu/wide/rows.h"

namespace hearth::cpu::avx512 {

const RowKernels rows = row_kernels;

}  // namespace hearth::cpu::avx512
