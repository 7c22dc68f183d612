#include "device/cpu/avx512/kernels.h"
#include "device/cpu/avx512/vec.h"

#include "device/cpu/wide/kv.h"

namespace hearth::cpu::avx512 {

const KvKernels kv[4] = {kv_kernels[0], kv_kernels[1], kv_kernels[2], kv_kernels[3]};

}  // namespace hearth::cpu::avx512
