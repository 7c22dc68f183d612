#include "device/cpu/avx2/kernels.h"
#include "device/cpu/avx2/vec.h"

#include "device/cpu/wide/matmul.h"

namespace hearth::cpu::avx2 {

const MatmulKernels matmul = matmul_kernels;

}  // namespace hearth::cpu::avx2
