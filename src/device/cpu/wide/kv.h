#pragma once

// KV pages: storing, scores, mixing. Include a set's vec.h first.
#include "device/cpu/table.h"
#include "device/cpu/wide/dot.h"
#include "device/cpu/wide/floats.h"
#include "device/cpu/wide/kblocks.h"

namespace hearth::cpu {
namespace {

constexpr uint32_t kv_span = 32;            // values of a head that are worked on at a time: a block
constexpr uint32_t kv_tokens = 4;           // tokens likewise
constexpr uint32_t kv_queries = lanes / 4;  // query heads at most

// --- storing ---

void store_f32(const float* x, uint32_t head, void* out) {
  auto* to = static_cast<float*>(out);
  for_each(head, [&](uint32_t i, auto part) { store(to + i, load(x + i, part), part); });
}

void store_f16(const float* x, uint32_t head, void* out) {
  auto* to = static_cast<uint8_t*>(out);
  for (uint32_t i = 0; i < head; i += 8, to += 16) {
    const __m128i eight =
        _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), eight);
  }
}

// Writes d as a half and returns 1 / d of what was written; 0 for a zero, which has no sign.
inline float put_scale(float d, uint8_t* to) {
  constexpr float largest = 65504.0F;
  d = d > largest ? largest : d < -largest ? -largest : d;
  const __m128i half = _mm_cvtps_ph(_mm_set_ss(d), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const float written = _mm_cvtss_f32(_mm_cvtph_ps(half));
  const auto bits = written != 0.0F ? static_cast<uint16_t>(_mm_cvtsi128_si32(half)) : uint16_t{0};
  __builtin_memcpy(to, &bits, sizeof bits);
  return written != 0.0F ? 1.0F / written : 0.0F;
}

inline void extremes(const float* x, float& low, float& high) {
  Floats lowest = load(x), highest = lowest;
  for (uint32_t i = lanes; i < 32; i += lanes) {
    lowest = min(lowest, load(x + i));
    highest = max(highest, load(x + i));
  }
  low = min_lane(lowest);
  high = max_lane(highest);
}

// Eight values as integers: rounded to nearest even, or towards zero.
inline __m256i whole(const float* x, float factor) {
  return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), _mm256_set1_ps(factor)));
}
inline __m256i nibble(const float* x, float factor) {
  const __m256 v =
      _mm256_add_ps(_mm256_mul_ps(_mm256_loadu_ps(x), _mm256_set1_ps(factor)), _mm256_set1_ps(8.5F));
  return _mm256_max_epi32(_mm256_min_epi32(_mm256_cvttps_epi32(v), _mm256_set1_epi32(15)),
                          _mm256_setzero_si256());
}

// Four vectors of eight integers → 32 bytes in order.
inline __m256i to_bytes(__m256i a, __m256i b, __m256i c, __m256i d) {
  const __m256i mixed = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
  return _mm256_permutevar8x32_epi32(mixed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

void store_q8_0(const float* x, uint32_t head, void* out) {
  auto* to = static_cast<uint8_t*>(out);
  for (uint32_t i = 0; i < head; i += 32, x += 32, to += Q8_0::bytes) {
    float low = 0.0F, high = 0.0F;
    extremes(x, low, high);
    const float f = put_scale((high > -low ? high : -low) / 127.0F, to);
    const __m256i q = to_bytes(whole(x, f), whole(x + 8, f), whole(x + 16, f), whole(x + 24, f));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 2), _mm256_max_epi8(q, _mm256_set1_epi8(-127)));
  }
}

void store_q4_0(const float* x, uint32_t head, void* out) {
  auto* to = static_cast<uint8_t*>(out);
  for (uint32_t i = 0; i < head; i += 32, x += 32, to += Q4_0::bytes) {
    float low = 0.0F, high = 0.0F;
    extremes(x, low, high);
    const float f = put_scale((high > -low ? high : low) / -8.0F, to);
    const __m256i q = to_bytes(nibble(x, f), nibble(x + 8, f), nibble(x + 16, f), nibble(x + 24, f));
    const __m128i upper = _mm_slli_epi16(_mm256_extracti128_si256(q, 1), 4);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 2), _mm_or_si128(_mm256_castsi256_si128(q), upper));
  }
}

// --- reading ---

// One vector of a head row from its value d on, times the scale of the block that it lies in.
template <class Type>
struct FloatRow {
  static constexpr bool in_blocks = false;
  static Floats scale(const uint8_t*, uint32_t) { return zero(); }
  template <class P>
  static Floats unscaled(const uint8_t* row, uint32_t d, P part) {
    return Type::read(row + d * size_t{Type::bytes}, part);
  }
  template <class P>
  static Floats read(const uint8_t* row, uint32_t d, Floats, P part) {
    return unscaled(row, d, part);
  }
};

template <class Type>
struct BlockRow {
  static constexpr bool in_blocks = true;
  static const uint8_t* block(const uint8_t* row, uint32_t d) { return row + d / 32 * size_t{Type::bytes}; }
  static Floats scale(const uint8_t* row, uint32_t d) { return set1(half_at(block(row, d))); }
  // Heads are whole blocks: there are no parts.
  template <class P>
  static Floats unscaled(const uint8_t* row, uint32_t d, P) {
    const uint8_t* levels = block(row, d) + 2;
    if constexpr (Type::id == Q8_0::id) {
      return to_floats(widen(reinterpret_cast<const int8_t*>(levels + d % 32)));
    } else {
      const __m128i both = load_bytes(levels + d % 16);
      const __m128i level = d % 32 < 16 ? both : _mm_srli_epi16(both, 4);
      const __m128i with_sign = _mm_sub_epi8(_mm_and_si128(level, _mm_set1_epi8(15)), _mm_set1_epi8(8));
      return to_floats(widen(with_sign));
    }
  }
  template <class P>
  static Floats read(const uint8_t* row, uint32_t d, Floats scale, P part) {
    return mul(unscaled(row, d, part), scale);
  }
};

// s[i][t] = k_t · q_i for `tokens` ≤ 4 tokens: each vector of K is unpacked once and kept in a register.
template <class Row, uint32_t queries>
inline void score_rows(const uint8_t* k, size_t token_stride, uint32_t tokens, uint32_t head, const float* q,
                       size_t q_stride, float* s, size_t s_stride) {
  const uint8_t* rows[kv_tokens];
  for (uint32_t t = 0; t < kv_tokens; ++t) rows[t] = k + (t < tokens ? t : 0) * token_stride;
  Floats acc[queries][kv_tokens];
  for (auto& row : acc) {
    for (Floats& a : row) a = zero();
  }
  const auto values = [&](uint32_t d, const Floats* scale, auto part) {
    Floats key[kv_tokens];
    for (uint32_t t = 0; t < kv_tokens; ++t) key[t] = Row::read(rows[t], d, scale[t], part);
    for (uint32_t j = 0; j < queries; ++j) {
      const Floats v = load(q + j * q_stride + d, part);
      for (uint32_t t = 0; t < kv_tokens; ++t) acc[j][t] = fma(key[t], v, acc[j][t]);
    }
  };
  Floats scale[kv_tokens] = {zero(), zero(), zero(), zero()};
  if constexpr (Row::in_blocks) {
    for (uint32_t first = 0; first < head; first += kv_span) {
      for (uint32_t t = 0; t < kv_tokens; ++t) scale[t] = Row::scale(rows[t], first);
      for (uint32_t i = 0; i < kv_span; i += lanes) values(first + i, scale, Whole{});
    }
  } else {
    for_each(head, [&](uint32_t d, auto part) { values(d, scale, part); });
  }
  for (uint32_t j = 0; j < queries; ++j) {
    float sums[kv_tokens];
    _mm_storeu_ps(sums, sum_lanes(acc[j][0], acc[j][1], acc[j][2], acc[j][3]));
    for (uint32_t t = 0; t < tokens; ++t) s[j * s_stride + t] = sums[t];
  }
}

template <class Row>
void score(const void* k, size_t token_stride, uint32_t tokens, uint32_t head, const float* q,
           size_t q_stride, uint32_t queries, float* s, size_t s_stride) {
  for (uint32_t t = 0; t < tokens; t += kv_tokens) {
    const uint32_t count = tokens - t < kv_tokens ? tokens - t : kv_tokens;
    const auto* rows = static_cast<const uint8_t*>(k) + t * token_stride;
    uint32_t i = 0;
    const auto some = [&](auto kernel, uint32_t n) {
      for (; i + n <= queries; i += n) {
        kernel(rows, token_stride, count, head, q + i * q_stride, q_stride, s + i * s_stride + t, s_stride);
      }
    };
    if constexpr (kv_queries > 2) some(score_rows<Row, 4>, 4);
    some(score_rows<Row, 2>, 2);
    some(score_rows<Row, 1>, 1);
  }
}

// acc[i] += Σ_t p[i][t] · v[t] for one span of the head: sums stay in registers over all tokens.
template <class Row, uint32_t queries, uint32_t vectors, class P>
inline void mix_span(const uint8_t* v, size_t token_stride, uint32_t tokens, uint32_t first, P part,
                     const float* p, size_t p_stride, float* acc, size_t acc_stride) {
  Floats sum[queries][vectors];
  for (uint32_t i = 0; i < queries; ++i) {
    for (uint32_t j = 0; j < vectors; ++j) sum[i][j] = load(acc + i * acc_stride + first + j * lanes, part);
  }
  for (uint32_t t = 0; t < tokens; ++t, v += token_stride) {
    Floats weight[queries];
    for (uint32_t i = 0; i < queries; ++i) {
      weight[i] = set1(p[i * p_stride + t]);
      if constexpr (Row::in_blocks) weight[i] = mul(weight[i], Row::scale(v, first));
    }
    for (uint32_t j = 0; j < vectors; ++j) {
      const Floats value = Row::unscaled(v, first + j * lanes, part);
      for (uint32_t i = 0; i < queries; ++i) sum[i][j] = fma(weight[i], value, sum[i][j]);
    }
  }
  for (uint32_t i = 0; i < queries; ++i) {
    for (uint32_t j = 0; j < vectors; ++j) store(acc + i * acc_stride + first + j * lanes, sum[i][j], part);
  }
}

template <class Row, uint32_t queries>
inline void mix_rows(const uint8_t* v, size_t token_stride, uint32_t tokens, uint32_t head, const float* p,
                     size_t p_stride, float* acc, size_t acc_stride) {
  uint32_t d = 0;
  for (; d + kv_span <= head; d += kv_span) {
    mix_span<Row, queries, kv_span / lanes>(v, token_stride, tokens, d, Whole{}, p, p_stride, acc,
                                            acc_stride);
  }
  if (d == head) return;
  for_each(head - d, [&](uint32_t i, auto part) {
    mix_span<Row, queries, 1>(v, token_stride, tokens, d + i, part, p, p_stride, acc, acc_stride);
  });
}

template <class Row>
void mix(const void* v, size_t token_stride, uint32_t tokens, uint32_t head, const float* p, size_t p_stride,
         uint32_t queries, float* acc, size_t acc_stride) {
  const auto* rows = static_cast<const uint8_t*>(v);
  uint32_t i = 0;
  const auto some = [&](auto kernel, uint32_t n) {
    for (; i + n <= queries; i += n) {
      kernel(rows, token_stride, tokens, head, p + i * p_stride, p_stride, acc + i * acc_stride, acc_stride);
    }
  };
  if constexpr (kv_queries > 2) some(mix_rows<Row, 4>, 4);
  some(mix_rows<Row, 2>, 2);
  some(mix_rows<Row, 1>, 1);
}

constexpr KvKernels kv_kernels[4] = {
    {store_f32, score<FloatRow<F32>>, mix<FloatRow<F32>>},
    {store_f16, score<FloatRow<F16>>, mix<FloatRow<F16>>},
    {store_q8_0, score<BlockRow<Q8_0>>, mix<BlockRow<Q8_0>>},
    {store_q4_0, score<BlockRow<Q4_0>>, mix<BlockRow<Q4_0>>},
};

}  // namespace
}  // namespace hearth::cpu
