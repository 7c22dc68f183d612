#pragma once

// The kernels of carried states, written once over the vector type of a set. Include its vec.h first.
#include "device/cpu/table.h"
#include "device/cpu/wide/reduce.h"

namespace hearth::cpu {
namespace {

void convolve(const float* const* rows, const float* kernel, const float* bias, uint32_t taps, uint32_t n,
              float* out) {
  for_each(n, [&](uint32_t i, auto part) {
    Floats sum = bias != nullptr ? load(bias + i, part) : zero();
    for (uint32_t k = 0; k < taps; ++k)
      sum = fma(load(kernel + size_t{k} * n + i, part), load(rows[k] + i, part), sum);
    store(out + i, sum, part);
  });
}

constexpr StateKernels state_kernels = {convolve};

}  // namespace
}  // namespace hearth::cpu
