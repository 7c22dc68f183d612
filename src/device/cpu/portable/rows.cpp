#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "device/cpu/portable/kernels.h"

namespace hearth::cpu::portable {
namespace {

void rms_norm(const float* x, const float* gain, uint32_t n, float eps, float* out) {
  double squares = 0.0;
  for (uint32_t i = 0; i < n; ++i) squares += static_cast<double>(x[i]) * x[i];
  const auto factor = static_cast<float>(1.0 / std::sqrt(squares / n + eps));
  for (uint32_t i = 0; i < n; ++i) out[i] = x[i] * factor * (gain != nullptr ? gain[i] : 1.0F);
}

void layer_norm(const float* x, const float* gain, const float* bias, uint32_t n, float eps, float* out) {
  double sum = 0.0, squares = 0.0;
  for (uint32_t i = 0; i < n; ++i) sum += x[i];
  const double mean = sum / n;
  for (uint32_t i = 0; i < n; ++i) squares += (x[i] - mean) * (x[i] - mean);
  const double factor = 1.0 / std::sqrt(squares / n + eps);
  for (uint32_t i = 0; i < n; ++i) {
    const auto v = static_cast<float>((x[i] - mean) * factor);
    out[i] = v * (gain != nullptr ? gain[i] : 1.0F) + (bias != nullptr ? bias[i] : 0.0F);
  }
}

float activate(Activation act, float x) {
  const double v = x;
  switch (act) {
    case Activation::none: return x;
    case Activation::silu: return static_cast<float>(v / (1.0 + std::exp(-v)));
    case Activation::gelu: return static_cast<float>(0.5 * v * std::erfc(-v / std::numbers::sqrt2));
    case Activation::gelu_tanh: {
      // ½x(1 + tanh u) = x / (1 + e^(−2u)), which keeps its digits for negative x
      const double u = std::sqrt(2.0 / std::numbers::pi) * (v + 0.044715 * v * v * v);
      return static_cast<float>(v / (1.0 + std::exp(-2.0 * u)));
    }
    case Activation::relu: return x > 0.0F ? x : 0.0F;
    case Activation::relu2: return x > 0.0F ? x * x : 0.0F;
  }
  return x;
}

void gated(Activation act, const float* gate, const float* up, uint32_t n, float* out) {
  for (uint32_t i = 0; i < n; ++i) out[i] = activate(act, gate[i]) * (up != nullptr ? up[i] : 1.0F);
}

void add(const float* a, const float* b, uint32_t n, float* out) {
  for (uint32_t i = 0; i < n; ++i) out[i] = a[i] + b[i];
}

void scale(const float* x, float factor, uint32_t n, float* out) {
  for (uint32_t i = 0; i < n; ++i) out[i] = x[i] * factor;
}

float max(const float* x, uint32_t n) {
  float best = -std::numeric_limits<float>::infinity();
  for (uint32_t i = 0; i < n; ++i) best = std::max(best, x[i]);
  return best;
}

float exp_sum(float* x, uint32_t n, float m) {
  double sum = 0.0;
  for (uint32_t i = 0; i < n; ++i) {
    x[i] = std::exp(x[i] - m);
    sum += x[i];
  }
  return static_cast<float>(sum);
}

void rope(float* x, const float* cos, const float* sin, uint32_t pairs, bool split) {
  for (uint32_t i = 0; i < pairs; ++i) {
    float& a = split ? x[i] : x[2 * i];
    float& b = split ? x[i + pairs] : x[2 * i + 1];
    const float first = a, second = b;
    a = first * cos[i] - second * sin[i];
    b = first * sin[i] + second * cos[i];
  }
}

void open(const float* gate, const float* x, uint32_t n, float* out) {
  for (uint32_t i = 0; i < n; ++i)
    out[i] = static_cast<float>(double{x[i]} / (1.0 + std::exp(-double{gate[i]})));
}

}  // namespace

const RowKernels rows = {rms_norm, layer_norm, gated, add, scale, max, exp_sum, rope, open};

}  // namespace hearth::cpu::portable
