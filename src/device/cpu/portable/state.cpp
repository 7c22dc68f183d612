#include <algorithm>
#include <cmath>

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

void softplus(const float* x, const float* bias, uint32_t n, float* out) {
  for (uint32_t i = 0; i < n; ++i) {
    const double v = double{x[i]} + double{bias[i]};
    out[i] = static_cast<float>(std::max(v, 0.0) + std::log1p(std::exp(-std::fabs(v))));
  }
}

void scan(float* s, const float* a, const float* time, const float* x, const float* b, const float* c,
          uint32_t states, uint32_t n, float* y) {
  for (uint32_t i = 0; i < n; ++i, s += states, a += states) {
    y[i] = 0.0F;
    for (uint32_t k = 0; k < states; ++k) {
      s[k] = std::exp(time[i] * a[k]) * s[k] + time[i] * x[i] * b[k];
      y[i] += s[k] * c[k];
    }
  }
}

void scan_head(float* s, float decay, float time, const float* x, const float* b, const float* c,
               uint32_t states, uint32_t n, float* y) {
  for (uint32_t i = 0; i < n; ++i, s += states) {
    y[i] = 0.0F;
    for (uint32_t k = 0; k < states; ++k) {
      s[k] = decay * s[k] + time * x[i] * b[k];
      y[i] += s[k] * c[k];
    }
  }
}

void unit(const float* x, uint32_t n, float eps, float factor, float* out) {
  double squares = 0.0;
  for (uint32_t i = 0; i < n; ++i) squares += double{x[i]} * x[i];
  const auto by = static_cast<float>(factor / std::max(std::sqrt(squares), double{eps}));
  for (uint32_t i = 0; i < n; ++i) out[i] = x[i] * by;
}

void delta(float* s, float decay, float rate, const float* k, const float* q, const float* v, uint32_t size,
           uint32_t n, float* y) {
  for (uint32_t i = 0; i < n; ++i, s += size) {
    const float change = rate * (v[i] - decay * dot(s, k, size));
    for (uint32_t j = 0; j < size; ++j) s[j] = decay * s[j] + change * k[j];
    y[i] = dot(s, q, size);
  }
}

void blend(const float* x, const float* before, const float* mix, uint32_t n, float* out) {
  for (uint32_t i = 0; i < n; ++i) out[i] = x[i] + mix[i] * (before[i] - x[i]);
}

}  // namespace

const StateKernels state = {convolve, softplus, scan, scan_head, unit, delta, blend};

}  // namespace hearth::cpu::portable
