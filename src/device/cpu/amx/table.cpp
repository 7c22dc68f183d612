#include "device/cpu/amx/kernels.h"
#include "device/cpu/amx/tiles.h"
#include "device/cpu/avx512bf16/kernels.h"

namespace hearth::cpu {
namespace {

const MatmulKernels matmul = {
    PanelFormat::bf16,    avx512bf16::pack_panel, avx512bf16::pack_acts, run, enter, leave,
    avx512bf16::expanders};

}  // namespace

const CpuTable amx_table = {"amx",     nullptr, 0, &matmul, {nullptr, nullptr, nullptr, nullptr},
                            nullptr,   nullptr, 0, nullptr, nullptr,
                            &amx::peak};

}  // namespace hearth::cpu
