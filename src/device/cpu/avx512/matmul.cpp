#include "device/cpu/avx512/kernels.h"
#include "device/cpu/avx512/vec.h"

#include "device/cpu/wide/matmul.h"

namespace hearth::cpu::avx512 {

const MatmulKernels matmul = matmul_kernels;

}  // namespace hearth::cpu::avx512
