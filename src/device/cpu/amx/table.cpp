#include "device/cpu/amx/kernels.h"

namespace hearth::cpu {

const CpuTable amx_table = {"amx",
                            nullptr,
                            0,
                            &amx::matmul,
                            {nullptr, nullptr, nullptr, nullptr},
                            nullptr,
                            amx::packed,
                            amx::packed_count,
                            nullptr,
                            &amx::attend,
                            &amx::peak};

}  // namespace hearth::cpu
