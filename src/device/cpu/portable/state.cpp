#include "device/cpu/portable/kernels.h"

namespace hearth::cpu::portable {
namespace {

void convolve(const float* const* rows, const float* kernel, const float* bias, uint32_t taps, uint32_t n,
              float* out) {
  for (uint32_t i = 0; i < n; ++i) {
    float sum = bias != nullptr ? bias[i] : 0.0F;
    for (uint32_t k = 0; k < taps; ++k) sum += kernel[size_t{k} * n + i] * rows[k][i];
    out[i] = sum;
  }
}

}  // namespace

const StateKernels state = {convolve};

}  // namespace hearth::cpu::portable
