#pragma once

// The row kernels, written once over the vector type of a set. Include its vec.h first.
#include "device/cpu/table.h"
#include "device/cpu/wide/exp.h"
#include "device/cpu/wide/reduce.h"

namespace hearth::cpu {
namespace {

inline float square_root(float v) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(v))); }

void rms_norm(const float* x, const float* gain, uint32_t n, float eps, float* out) {
  Floats squares = zero();
  for_each(n, [&](uint32_t i, auto part) {
    const Floats v = load(x + i, part);
    squares = fma(v, v, squares);
  });
  const Floats factor = set1(1.0F / square_root(sum_lanes(squares) / static_cast<float>(n) + eps));
  for_each(n, [&](uint32_t i, auto part) {
    const Floats v = mul(load(x + i, part), factor);
    store(out + i, gain != nullptr ? mul(v, load(gain + i, part)) : v, part);
  });
}

void layer_norm(const float* x, const float* gain, const float* bias, uint32_t n, float eps, float* out) {
  Floats total = zero();
  for_each(n, [&](uint32_t i, auto part) { total = add(total, load(x + i, part)); });
  const Floats mean = set1(sum_lanes(total) / static_cast<float>(n));
  Floats squares = zero();
  for_each(n, [&](uint32_t i, auto part) {
    const Floats v = keep(sub(load(x + i, part), mean), zero(), part);
    squares = fma(v, v, squares);
  });
  const Floats factor = set1(1.0F / square_root(sum_lanes(squares) / static_cast<float>(n) + eps));
  for_each(n, [&](uint32_t i, auto part) {
    Floats v = mul(sub(load(x + i, part), mean), factor);
    if (gain != nullptr) v = mul(v, load(gain + i, part));
    if (bias != nullptr) v = add(v, load(bias + i, part));
    store(out + i, v, part);
  });
}

template <class Act>
inline void gated_by(Act act, const float* gate, const float* up, uint32_t n, float* out) {
  for_each(n, [&](uint32_t i, auto part) {
    const Floats v = act(load(gate + i, part));
    store(out + i, up != nullptr ? mul(v, load(up + i, part)) : v, part);
  });
}

void gated(Activation act, const float* gate, const float* up, uint32_t n, float* out) {
  switch (act) {
    case Activation::none: return gated_by([](Floats v) { return v; }, gate, up, n, out);
    case Activation::silu: return gated_by([](Floats v) { return silu(v); }, gate, up, n, out);
    case Activation::gelu: return gated_by([](Floats v) { return gelu(v); }, gate, up, n, out);
    case Activation::gelu_tanh: return gated_by([](Floats v) { return gelu_tanh(v); }, gate, up, n, out);
    case Activation::relu: return gated_by([](Floats v) { return max(zero(), v); }, gate, up, n, out);
    case Activation::relu2:
      return gated_by([](Floats v) { return mul(max(zero(), v), max(zero(), v)); }, gate, up, n, out);
  }
}

void add_rows(const float* a, const float* b, uint32_t n, float* out) {
  for_each(n,
           [&](uint32_t i, auto part) { store(out + i, add(load(a + i, part), load(b + i, part)), part); });
}

void scale_row(const float* x, float factor, uint32_t n, float* out) {
  for_each(n, [&](uint32_t i, auto part) { store(out + i, mul(load(x + i, part), set1(factor)), part); });
}

float max_of_row(const float* x, uint32_t n) {
  const Floats lowest = set1(-__builtin_inff());
  Floats best = lowest;
  for_each(n, [&](uint32_t i, auto part) { best = max(best, keep(load(x + i, part), lowest, part)); });
  return max_lane(best);
}

float exp_sum(float* x, uint32_t n, float m) {
  Floats total = zero();
  for_each(n, [&](uint32_t i, auto part) {
    const Floats v = keep(exp(sub(load(x + i, part), set1(m))), zero(), part);
    store(x + i, v, part);
    total = add(total, v);
  });
  return sum_lanes(total);
}

inline void rotate(Floats& a, Floats& b, Floats cos, Floats sin) {
  const Floats first = a;
  a = fnma(b, sin, mul(a, cos));
  b = fma(first, sin, mul(b, cos));
}

void rope_split(float* x, const float* cos, const float* sin, uint32_t pairs) {
  for_each(pairs, [&](uint32_t i, auto part) {
    Floats a = load(x + i, part), b = load(x + pairs + i, part);
    rotate(a, b, load(cos + i, part), load(sin + i, part));
    store(x + i, a, part);
    store(x + pairs + i, b, part);
  });
}

void rope_woven(float* x, const float* cos, const float* sin, uint32_t pairs) {
  uint32_t i = 0;
  for (; i + lanes <= pairs; i += lanes) {
    Floats a = zero(), b = zero(), even = zero(), odd = zero();
    unweave(load(x + 2 * i), load(x + 2 * i + lanes), even, odd);
    rotate(even, odd, load(cos + i), load(sin + i));
    weave(even, odd, a, b);
    store(x + 2 * i, a);
    store(x + 2 * i + lanes, b);
  }
  for (; i < pairs; ++i) {
    const float a = x[2 * i], b = x[2 * i + 1];
    x[2 * i] = a * cos[i] - b * sin[i];
    x[2 * i + 1] = a * sin[i] + b * cos[i];
  }
}

void rope(float* x, const float* cos, const float* sin, uint32_t pairs, bool split) {
  if (split) return rope_split(x, cos, sin, pairs);
  rope_woven(x, cos, sin, pairs);
}

void open_row(const float* gate, const float* x, uint32_t n, float* out) {
  for_each(n, [&](uint32_t i, auto part) {
    const Floats shut = exp(sub(zero(), load(gate + i, part)));
    store(out + i, div(load(x + i, part), add(set1(1.0F), shut)), part);
  });
}

constexpr RowKernels row_kernels = {rms_norm,   layer_norm, gated, add_rows, scale_row,
                                    max_of_row, exp_sum,    rope,  open_row};

}  // namespace
}  // namespace hearth::cpu
