#include "device/cpu/avx2/kernels.h"
#include "device/cpu/avx2/vec.h"

#include "device/cpu/wide/rows.h"

namespace hearth::cpu::avx2 {

const RowKernels rows = row_kernels;

}  // namespace hearth::cpu::avx2
