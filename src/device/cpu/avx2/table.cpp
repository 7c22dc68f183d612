#include "device/cpu/avx2/kernels.h"
#include "device/cpu/avx2/vec.h"

#include "device/cpu/wide/types.h"

namespace hearth::cpu {

const CpuTable avx2_table = {
    "avx2",
    type_kernels,
    sizeof type_kernels / sizeof type_kernels[0],
    &avx2::matmul,
    {&avx2::kv[0], &avx2::kv[1], &avx2::kv[2], &avx2::kv[3]},
    &avx2::rows,
    avx2::packed,
    packed_form_count,
    avx2::round_row,
    &avx2::attend,
    &avx2::peak,
    &avx2::state,
};

}  // namespace hearth::cpu
