#pragma once

// KV pages: storing, scores, mixing. Rows are read as floats a few tokens at a time, so that the products are
// the same for all page types. Include a set's vec.h first.
#include "device/cpu/table.h"
#include "device/cpu/wide/dot.h"
#include "device/cpu/wide/floats.h"
#include "device/cpu/wide/kblocks.h"

namespace hearth::cpu {
namespace {

constexpr uint32_t kv_span = 256;  // values of a head that are worked on at a time
constexpr uint32_t kv_tokens = 4;  // tokens likewise

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

// Rows of at most kv_span values as floats: decoded into `space`, or where they lie if they are floats
// already.
template <class Type>
struct Reader {
  float space[kv_tokens][kv_span];
  const float* row(uint32_t i, const uint8_t* token, uint32_t first, uint32_t n) {
    decode<Type>(token + first / Type::values * size_t{Type::bytes}, n, space[i]);
    return space[i];
  }
};
template <>
struct Reader<F16> {
  float space[kv_tokens][kv_span];
  const float* row(uint32_t i, const uint8_t* token, uint32_t first, uint32_t n) {
    decode_floats<F16>(token + first * size_t{F16::bytes}, n, space[i]);
    return space[i];
  }
};
template <>
struct Reader<F32> {
  const float* row(uint32_t, const uint8_t* token, uint32_t first, uint32_t) {
    return reinterpret_cast<const float*>(token) + first;
  }
};

// s[q][0 … tokens) (+)= four rows of K · q; tokens ≤ 4, rows beyond repeat a real one.
template <uint32_t queries>
inline void score_rows(const float* const (&k)[kv_tokens], uint32_t n, const float* q, size_t q_stride,
                       float* s, size_t s_stride, uint32_t tokens, bool accumulate) {
  Floats acc[queries][kv_tokens];
  for (auto& row : acc) {
    for (Floats& a : row) a = zero();
  }
  for_each(n, [&](uint32_t d, auto part) {
    Floats key[kv_tokens];
    for (uint32_t t = 0; t < kv_tokens; ++t) key[t] = load(k[t] + d, part);
    for (uint32_t i = 0; i < queries; ++i) {
      const Floats v = load(q + i * q_stride + d, part);
      for (uint32_t t = 0; t < kv_tokens; ++t) acc[i][t] = fma(key[t], v, acc[i][t]);
    }
  });
  for (uint32_t i = 0; i < queries; ++i) {
    float sums[kv_tokens];
    _mm_storeu_ps(sums, sum_lanes(acc[i][0], acc[i][1], acc[i][2], acc[i][3]));
    float* to = s + i * s_stride;
    for (uint32_t t = 0; t < tokens; ++t) to[t] = accumulate ? to[t] + sums[t] : sums[t];
  }
}

template <class Type>
void score(const void* k, size_t token_stride, uint32_t tokens, uint32_t head, const float* q,
           size_t q_stride, uint32_t queries, float* s, size_t s_stride) {
  Reader<Type> reader;
  for (uint32_t t = 0; t < tokens; t += kv_tokens) {
    const uint32_t count = tokens - t < kv_tokens ? tokens - t : kv_tokens;
    for (uint32_t d = 0; d < head; d += kv_span) {
      const uint32_t n = head - d < kv_span ? head - d : kv_span;
      const float* rows[kv_tokens];
      for (uint32_t i = 0; i < kv_tokens; ++i) {
        const auto* token = static_cast<const uint8_t*>(k) + (t + i) * token_stride;
        rows[i] = i < count ? reader.row(i, token, d, n) : rows[0];
      }
      uint32_t i = 0;
      for (; i + 2 <= queries; i += 2) {
        score_rows<2>(rows, n, q + i * q_stride + d, q_stride, s + i * s_stride + t, s_stride, count, d > 0);
      }
      if (i < queries) {
        score_rows<1>(rows, n, q + i * q_stride + d, q_stride, s + i * s_stride + t, s_stride, count, d > 0);
      }
    }
  }
}

// acc[q] += Σ_t p[q][t] · v[t], a few tokens and one piece of the head at a time.
template <uint32_t queries>
inline void mix_rows(const float* const (&v)[kv_tokens], uint32_t n, const float* p, size_t p_stride,
                     uint32_t tokens, float* acc, size_t acc_stride) {
  Floats weight[queries][kv_tokens];
  for (uint32_t i = 0; i < queries; ++i) {
    for (uint32_t t = 0; t < kv_tokens; ++t) weight[i][t] = t < tokens ? set1(p[i * p_stride + t]) : zero();
  }
  for_each(n, [&](uint32_t d, auto part) {
    Floats value[kv_tokens];
    for (uint32_t t = 0; t < kv_tokens; ++t) value[t] = load(v[t] + d, part);
    for (uint32_t i = 0; i < queries; ++i) {
      float* to = acc + i * acc_stride + d;
      Floats sum = load(to, part);
      for (uint32_t t = 0; t < kv_tokens; ++t) sum = fma(weight[i][t], value[t], sum);
      store(to, sum, part);
    }
  });
}

template <class Type>
void mix(const void* v, size_t token_stride, uint32_t tokens, uint32_t head, const float* p, size_t p_stride,
         uint32_t queries, float* acc, size_t acc_stride) {
  Reader<Type> reader;
  for (uint32_t t = 0; t < tokens; t += kv_tokens) {
    const uint32_t count = tokens - t < kv_tokens ? tokens - t : kv_tokens;
    for (uint32_t d = 0; d < head; d += kv_span) {
      const uint32_t n = head - d < kv_span ? head - d : kv_span;
      const float* rows[kv_tokens];
      for (uint32_t i = 0; i < kv_tokens; ++i) {
        const auto* token = static_cast<const uint8_t*>(v) + (t + i) * token_stride;
        rows[i] = i < count ? reader.row(i, token, d, n) : rows[0];
      }
      uint32_t i = 0;
      for (; i + 2 <= queries; i += 2) {
        mix_rows<2>(rows, n, p + i * p_stride + t, p_stride, count, acc + i * acc_stride + d, acc_stride);
      }
      if (i < queries) {
        mix_rows<1>(rows, n, p + i * p_stride + t, p_stride, count, acc + i * acc_stride + d, acc_stride);
      }
    }
  }
}

constexpr KvKernels kv_kernels[4] = {
    {store_f32, score<F32>, mix<F32>},
    {store_f16, score<F16>, mix<F16>},
    {store_q8_0, score<Q8_0>, mix<Q8_0>},
    {store_q4_0, score<Q4_0>, mix<Q4_0>},
};

}  // namespace
}  // namespace hearth::cpu
