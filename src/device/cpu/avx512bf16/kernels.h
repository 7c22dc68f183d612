#pragma once

// The packing into bfloat16 panels, which avx512bf16 and amx share.
#include "device/cpu/table.h"

namespace hearth::cpu::avx512bf16 {

void pack_panel(const float* w, size_t w_stride, uint32_t rows, uint32_t k, void* panel);
void pack_acts(const float* x, size_t x_stride, uint32_t m, uint32_t k, void* acts);

extern const MatmulKernels matmul;
extern const ExpandPanel expanders[weight_types];

}  // namespace hearth::cpu::avx512bf16
