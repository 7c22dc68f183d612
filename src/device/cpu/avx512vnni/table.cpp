#include "device/cpu/avx512vnni/kernels.h"

namespace hearth::cpu {

const CpuTable avx512vnni_table = {
    "avx512vnni",
    nullptr,
    0,
    nullptr,
    {nullptr, nullptr, &avx512vnni::kv_q8_0, nullptr},
    nullptr,
    avx512vnni::packed,
    packed_form_count,
    nullptr,
    nullptr,  // attention in integers is of the class of bfloat16: avx512bf16 has it
    &avx512vnni::peak};

}  // namespace hearth::cpu
