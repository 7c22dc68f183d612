#pragma once

// The packing of weights into bfloat16 panels, which avx512bf16 and amx share.
#include "device/cpu/table.h"

namespace hearth::cpu::avx512bf16 {

void pack_panel(const float* w, size_t w_stride, uint32_t rows, uint32_t k, void* panel);

extern const MatmulKernels matmul;
extern const ExpandPanel expanders[weight_types];
extern const ConvertRows converters[weight_types];

}  // namespace hearth::cpu::avx512bf16
