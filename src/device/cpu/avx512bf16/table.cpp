#include "device/cpu/avx512bf16/kernels.h"
#include "device/cpu/avx512vnni/kernels.h"

namespace hearth::cpu {

const CpuTable avx512bf16_table = {
    "avx512bf16", nullptr, 0,       &avx512bf16::matmul, {nullptr, nullptr, nullptr, nullptr}, nullptr,
    nullptr,      0,       nullptr, &avx512vnni::attend};

}  // namespace hearth::cpu
