#pragma once

// The kernels of carried states, written once over the vector type of a set. Include its vec.h first.
#include "device/cpu/table.h"
#include "device/cpu/wide/exp.h"
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

// log(1 + e^x) = max(x, 0) + log(1 + u) with u = e^(−|x|), and log(1 + u) = 2·artanh(w) for w = u / (2 + u).
// w is at most 1/3, where eight terms of the series Σ w^(2k+1) / (2k + 1) leave 1.4e-9 of it.
inline Floats softplus(Floats x) {
  const Floats u = exp(sub(zero(), magnitude(x)));
  const Floats w = div(u, add(u, set1(2.0F))), z = mul(w, w);
  Floats p = set1(2.0F / 15);
  p = fma(p, z, set1(2.0F / 13));
  p = fma(p, z, set1(2.0F / 11));
  p = fma(p, z, set1(2.0F / 9));
  p = fma(p, z, set1(2.0F / 7));
  p = fma(p, z, set1(2.0F / 5));
  p = fma(p, z, set1(2.0F / 3));
  p = fma(p, z, set1(2.0F));
  return fma(p, w, max(zero(), x));
}

void softplus_row(const float* x, const float* bias, uint32_t n, float* out) {
  for_each(n, [&](uint32_t i, auto part) {
    store(out + i, softplus(add(load(x + i, part), load(bias + i, part))), part);
  });
}

// Lanes beyond the end load zeros everywhere, and add nothing.
template <class Decay>
inline void scan_by(Decay decay, float* s, float time, float x, const float* b, const float* c,
                    uint32_t states, float* y) {
  const Floats in = set1(time * x);
  Floats sum = zero();
  for_each(states, [&](uint32_t k, auto part) {
    const Floats v = fma(load(b + k, part), in, mul(load(s + k, part), decay(k, part)));
    store(s + k, v, part);
    sum = fma(v, load(c + k, part), sum);
  });
  *y = sum_lanes(sum);
}

void scan(float* s, const float* a, const float* time, const float* x, const float* b, const float* c,
          uint32_t states, uint32_t n, float* y) {
  for (uint32_t i = 0; i < n; ++i, s += states, a += states) {
    const auto decay = [&](uint32_t k, auto part) { return exp(mul(set1(time[i]), load(a + k, part))); };
    scan_by(decay, s, time[i], x[i], b, c, states, y + i);
  }
}

void scan_head(float* s, float decay, float time, const float* x, const float* b, const float* c,
               uint32_t states, uint32_t n, float* y) {
  const Floats all = set1(decay);
  for (uint32_t i = 0; i < n; ++i, s += states)
    scan_by([&](uint32_t, auto) { return all; }, s, time, x[i], b, c, states, y + i);
}

void unit(const float* x, uint32_t n, float eps, float factor, float* out) {
  Floats squares = zero();
  for_each(n, [&](uint32_t i, auto part) {
    const Floats v = load(x + i, part);
    squares = fma(v, v, squares);
  });
  const float length = _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(sum_lanes(squares))));
  const Floats by = set1(factor / (length > eps ? length : eps));
  for_each(n, [&](uint32_t i, auto part) { store(out + i, mul(load(x + i, part), by), part); });
}

void delta(float* s, float decay, float rate, const float* k, const float* q, const float* v, uint32_t size,
           uint32_t n, float* y) {
  const Floats kept = set1(decay);
  for (uint32_t i = 0; i < n; ++i, s += size) {
    Floats known = zero(), read = zero();
    for_each(size, [&](uint32_t j, auto part) { known = fma(load(s + j, part), load(k + j, part), known); });
    const Floats change = set1(rate * (v[i] - decay * sum_lanes(known)));
    for_each(size, [&](uint32_t j, auto part) {
      const Floats next = fma(load(k + j, part), change, mul(load(s + j, part), kept));
      store(s + j, next, part);
      read = fma(next, load(q + j, part), read);
    });
    y[i] = sum_lanes(read);
  }
}

void blend(const float* x, const float* before, const float* mix, uint32_t n, float* out) {
  for_each(n, [&](uint32_t i, auto part) {
    const Floats v = load(x + i, part);
    store(out + i, fma(load(mix + i, part), sub(load(before + i, part), v), v), part);
  });
}

constexpr StateKernels state_kernels = {convolve, softplus_row, scan, scan_head, unit, delta, blend};

}  // namespace
}  // namespace hearth::cpu
