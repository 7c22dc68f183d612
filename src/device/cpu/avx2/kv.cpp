#include "device/cpu/avx2/kernels.h"
#include "device/cpu/avx2/vec.h"

#include "device/cpu/wide/kv.h"

namespace hearth::cpu::avx2 {

const KvKernels kv[4] = {kv_kernels[0], kv_kernels[1], kv_kernels[2], kv_kernels[3]};

}  // namespace hearth::cpu::avx2
