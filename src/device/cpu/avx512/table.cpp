#include "device/cpu/avx512/kernels.h"
#include "device/cpu/avx512/vec.h"

#include "device/cpu/wide/types.h"

namespace hearth::cpu {

const CpuTable avx512_table = {
    "avx512",
    type_kernels,
    sizeof type_kernels / sizeof type_kernels[0],
    &avx512::matmul,
    {&avx512::kv[0], &avx512::kv[1], &avx512::kv[2], &avx512::kv[3]},
    &avx512::rows,
    nullptr,
    0,
    nullptr,
    &avx512::attend,
    nullptr,
    &avx512::state,
};

}  // namespace hearth::cpu
