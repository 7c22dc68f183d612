#pragma once

// Attention of prompt rows in floats; a lane is a query. Include a set's vec.h first.
#include "device/cpu/table.h"
#include "device/cpu/wide/exp.h"
#include "device/cpu/wide/finish.h"
#include "device/cpu/wide/reduce.h"

namespace hearth::cpu {
namespace {

constexpr uint32_t attend_vectors = attend_lanes / lanes;  // per panel
constexpr uint32_t attend_width = 2;                       // vectors of queries that are worked on together
constexpr uint32_t attend_rows = lanes == 8 ? 6 : 8;       // tokens, or values of a head, likewise
constexpr uint32_t attend_rest = 2;                        // what these are cut into at the end

constexpr float log2_e = 1.44269504F;

// 2^x for x ≤ 0, with a relative error of about one unit in the last place; exactly 0 for what is hidden.
inline Floats power(Floats x) {
  x = max(set1(lowest_power), x);
  const Floats n = nearest(x), r = sub(x, n);
  // 2^r = 1 + r·P(r); P interpolates at Chebyshev points, error 5e-9.
  Floats p = set1(1.5453163e-4F);
  p = fma(p, r, set1(1.3390863e-3F));
  p = fma(p, r, set1(9.6180826e-3F));
  p = fma(p, r, set1(5.5503571e-2F));
  p = fma(p, r, set1(2.4022651e-1F));
  p = fma(p, r, set1(6.9314719e-1F));
  return times_power(fma(p, r, set1(1.0F)), n);
}

// Scores count in powers of two.
void pack_queries(const float* const* q, uint32_t k_size, float factor, void* panel, float* scale) {
  for (uint32_t i = 0; i < attend_lanes; ++i) scale[i] = 1.0F;
  auto* to = static_cast<float*>(panel);
  const __m256 by = _mm256_set1_ps(factor * log2_e);
  for (size_t half = 0; half < attend_lanes; half += 8) {
    for (size_t d = 0; d < k_size; d += 8) {
      __m256 block[8];
      for (size_t i = 0; i < 8; ++i) {
        const float* row = q[half + i];
        block[i] = row != nullptr ? _mm256_mul_ps(_mm256_loadu_ps(row + d), by) : _mm256_setzero_ps();
      }
      transpose(block);
      for (size_t i = 0; i < 8; ++i) _mm256_storeu_ps(to + (d + i) * attend_lanes + half, block[i]);
    }
  }
}

// `width` vectors of queries from a block: q, acc, best, total and positions begin at the first of them.
struct QueryVectors {
  const AttendBlock& b;
  const float* q;
  const uint32_t* position;
  float *best, *total, *acc;

  const float* query(uint32_t v, uint32_t d) const { return q + place(v, b.q_step) + d * attend_lanes; }
  float* sum(uint32_t v, uint32_t d) const {
    return acc + place(v, size_t{b.v_size} * attend_lanes) + d * attend_lanes;
  }
  static size_t place(uint32_t v, size_t panel) {
    return v / attend_vectors * panel + v % attend_vectors * lanes;
  }
};

template <uint32_t n>
struct Rows {
  static constexpr uint32_t count = n;
};
// body(i, number of rows as a constant) over [0, end), which is rounded up to twos.
template <class Body>
inline void in_rows(uint32_t end, Body body) {
  uint32_t i = 0;
  for (; i + attend_rows <= end; i += attend_rows) body(i, Rows<attend_rows>{});
  for (; i < end; i += attend_rest) body(i, Rows<attend_rest>{});
}

// s[t][v] = k_t · q, for a few tokens.
template <uint32_t width, uint32_t rows>
inline void score_rows(const QueryVectors& u, uint32_t t, float* s) {
  const float* k = static_cast<const float*>(u.b.k) + size_t{t} * u.b.k_size;
  Floats acc[rows][width];
  for (auto& row : acc) {
    for (Floats& a : row) a = zero();
  }
  for (uint32_t d = 0; d < u.b.k_size; ++d) {
    Floats q[width];
    for (uint32_t v = 0; v < width; ++v) q[v] = load(u.query(v, d));
    for (size_t i = 0; i < rows; ++i) {
      const Floats key = set1(k[i * u.b.k_size + d]);
      for (uint32_t v = 0; v < width; ++v) acc[i][v] = fma(key, q[v], acc[i][v]);
    }
  }
  for (size_t i = 0; i < rows; ++i) {
    for (uint32_t v = 0; v < width; ++v) store(s + ((t + i) * width + v) * lanes, acc[i][v]);
  }
}

inline Floats capped(Floats s, float cap) {
  cap *= log2_e;
  // tanh x = 1 − 2 / (1 + e^2x)
  const Floats twice = mul(s, set1(2.0F / cap));
  return mul(set1(cap), sub(set1(1.0F), div(set1(2.0F), add(set1(1.0F), exp(twice)))));
}

// Hides what a query may not see: a lane at a time, as few blocks need it.
inline void hide(const AttendBlock& b, const uint32_t* position, uint32_t width, float* s) {
  for (uint32_t i = 0; i < width * lanes; ++i) {
    for (uint32_t t = 0; t < b.tokens; ++t) {
      const uint32_t seen = b.at + t;
      const bool hidden =
          (b.causal && seen > position[i]) || (b.window != 0 && seen + b.window <= position[i]);
      if (hidden) s[t * width * lanes + i] = attend_hidden;
    }
  }
}

inline bool hides_some(const AttendBlock& b, const uint32_t* position, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    if (b.causal && b.at + b.tokens > position[i] + 1) return true;
    if (b.window != 0 && b.at + b.window <= position[i]) return true;
  }
  return false;
}

// Scores → weights relative to the best so far; returns what earlier sums are multiplied with.
template <uint32_t width>
inline void soften(const QueryVectors& u, float* s, Floats (&down)[width]) {
  const AttendBlock& b = u.b;
  const size_t row = width * lanes;
  if (b.soft_cap > 0) {
    for (size_t i = 0; i < b.tokens * row; i += lanes) store(s + i, capped(load(s + i), b.soft_cap));
  }
  if (hides_some(b, u.position, width * lanes)) hide(b, u.position, width, s);
  for (size_t v = 0; v < width; ++v) {
    const Floats before = load(u.best + v * lanes);
    Floats best = before;
    for (size_t t = 0; t < b.tokens; ++t) best = max(best, load(s + t * row + v * lanes));
    down[v] = power(sub(before, best));
    Floats total = mul(load(u.total + v * lanes), down[v]);
    for (size_t t = 0; t < b.tokens; ++t) {
      const Floats p = power(sub(load(s + t * row + v * lanes), best));
      total = add(total, p);
      store(s + t * row + v * lanes, p);
    }
    store(u.best + v * lanes, best);
    store(u.total + v * lanes, total);
  }
}

// acc[d] = acc[d] · down + Σ_t p[t] · v[t][d], for a few values of the head.
template <uint32_t width, uint32_t rows>
inline void mix_rows(const QueryVectors& u, uint32_t d, const float* p, const Floats (&down)[width]) {
  const float* v = static_cast<const float*>(u.b.v) + d;
  Floats acc[rows][width];
  for (uint32_t i = 0; i < rows; ++i) {
    for (uint32_t j = 0; j < width; ++j) acc[i][j] = mul(load(u.sum(j, d + i)), down[j]);
  }
  for (uint32_t t = 0; t < u.b.tokens; ++t, v += u.b.v_size) {
    Floats weight[width];
    for (uint32_t j = 0; j < width; ++j) weight[j] = load(p + (t * width + j) * lanes);
    for (uint32_t i = 0; i < rows; ++i) {
      const Floats value = set1(v[i]);
      for (uint32_t j = 0; j < width; ++j) acc[i][j] = fma(value, weight[j], acc[i][j]);
    }
  }
  for (uint32_t i = 0; i < rows; ++i) {
    for (uint32_t j = 0; j < width; ++j) store(u.sum(j, d + i), acc[i][j]);
  }
}

template <uint32_t width>
void attend_some(const QueryVectors& u) {
  alignas(64) float s[attend_tokens * width * lanes];
  in_rows(u.b.tokens, [&](uint32_t t, auto rows) { score_rows<width, rows.count>(u, t, s); });
  Floats down[width];
  soften<width>(u, s, down);
  in_rows(u.b.v_size, [&](uint32_t d, auto rows) { mix_rows<width, rows.count>(u, d, s, down); });
}

void attend_block(const AttendBlock& b) {
  const uint32_t vectors = b.panels * attend_vectors;
  for (uint32_t v = 0; v < vectors; v += attend_width) {
    const size_t panel = v / attend_vectors, lane = size_t{v} * lanes;
    const QueryVectors u = {b,
                            static_cast<const float*>(b.q) + panel * b.q_step,
                            b.position + lane,
                            b.best + lane,
                            b.total + lane,
                            b.acc + panel * b.v_size * attend_lanes};
    if (vectors - v == 1) {
      attend_some<1>(u);
    } else {
      attend_some<attend_width>(u);
    }
  }
}

void attend_blocks(const AttendBlock* blocks, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) attend_block(blocks[i]);
}

void finish(const float* acc, const float* best, const float* total, const float* sinks, uint32_t v_size,
            float* const* out) {
  alignas(64) float factor[attend_lanes];
  for (uint32_t i = 0; i < attend_lanes; i += lanes) {
    Floats all = load(total + i);
    if (sinks != nullptr) all = add(all, exp(sub(load(sinks + i), mul(load(best + i), set1(1.0F / log2_e)))));
    store(factor + i, div(set1(1.0F), all));
  }
  finish_rows(acc, factor, v_size, out);
}

constexpr AttendKernels attend_kernels = {pack_queries, nullptr, nullptr, attend_blocks, finish};

}  // namespace
}  // namespace hearth::cpu
