// Rows of generation against pages of q8_0 in integers of sixteen bits: unpacking to floats takes longer than
// memory does. A block's scale meets the sum of its products (keys), or the weight of its token (values).
#include "device/cpu/avx512/vec.h"
#include "device/cpu/avx512vnni/kernels.h"

#include "device/cpu/wide/kv.h"

namespace hearth::cpu::avx512vnni {
namespace {

constexpr uint32_t block_values = 32, block_bytes = 34;
constexpr uint32_t span_blocks = 32;  // blocks of a head that are worked on at a time: heads of 1,024 values
constexpr uint32_t span_tokens = 32;
constexpr uint32_t span_queries = 4;
constexpr float largest = 32767.0F;

// A part of a page: `tokens` rows, `blocks` blocks of each.
struct Span {
  const uint8_t* rows;
  size_t token_stride;
  uint32_t tokens, blocks;

  __m512i integers(uint32_t t, uint32_t b) const {
    const uint8_t* at = rows + t * token_stride + size_t{b} * block_bytes + 2;
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
  }

  // The scales of the blocks, [block][token]; beyond the last token zeros.
  void scales(float* out) const {
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i places = _mm512_mullo_epi32(lane, _mm512_set1_epi32(static_cast<int>(token_stride)));
    for (uint32_t b = 0; b < blocks; ++b) {
      for (uint32_t t = 0; t < span_tokens; t += lanes, out += lanes) {
        const uint32_t left = tokens > t ? tokens - t : 0;
        const __mmask16 real = left >= lanes ? _cvtu32_mask16(0xffffU) : first_lanes(left);
        const uint8_t* at = rows + t * token_stride + size_t{b} * block_bytes;
        const __m512i words = _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), real, places, at, 1);
        store(out, _mm512_cvtph_ps(_mm512_cvtepi32_epi16(words)));
      }
    }
  }
};

// Up to 1,024 floats as integers with one scale.
inline float round_query(const float* q, uint32_t values, int16_t* out) {
  __m512 top = zero();
  for (uint32_t i = 0; i < values; i += lanes) top = max(top, magnitude(load(q + i)));
  const float most = max_lane(top);
  if (!(most > 1e-30F)) {
    __builtin_memset(out, 0, values * sizeof *out);
    return 0.0F;
  }
  const __m512 by = set1(largest / most);
  for (uint32_t i = 0; i < values; i += lanes) {
    const __m256i words = _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(mul(load(q + i), by)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), words);
  }
  return most / largest;
}

// s[i][t] (+)= k_t · q_i, four tokens at a time.
template <uint32_t queries>
inline void score_few(const Span& span, const float* scales, const float* q, size_t q_stride, float* s,
                      size_t s_stride, bool accumulate) {
  alignas(64) int16_t rounded[queries][span_blocks * block_values];
  float factor[queries];
  for (size_t i = 0; i < queries; ++i)
    factor[i] = round_query(q + i * q_stride, span.blocks * block_values, rounded[i]);
  for (uint32_t t = 0; t < span.tokens; t += kv_tokens) {
    __m512 acc[queries][kv_tokens];
    for (auto& row : acc) {
      for (__m512& a : row) a = zero();
    }
    uint32_t token[kv_tokens];
    for (uint32_t j = 0; j < kv_tokens; ++j) token[j] = t + j < span.tokens ? t + j : t;
    for (uint32_t b = 0; b < span.blocks; ++b) {
      __m512i key[kv_tokens], query[queries];
      for (uint32_t j = 0; j < kv_tokens; ++j) key[j] = span.integers(token[j], b);
      for (size_t i = 0; i < queries; ++i) query[i] = _mm512_load_si512(rounded[i] + b * block_values);
      for (uint32_t j = 0; j < kv_tokens; ++j) {
        const __m512 scale = set1(scales[b * span_tokens + token[j]]);
        for (size_t i = 0; i < queries; ++i)
          acc[i][j] = fma(_mm512_cvtepi32_ps(_mm512_madd_epi16(key[j], query[i])), scale, acc[i][j]);
      }
    }
    for (size_t i = 0; i < queries; ++i) {
      float sums[kv_tokens];
      _mm_storeu_ps(sums, sum_lanes(acc[i][0], acc[i][1], acc[i][2], acc[i][3]));
      float* to = s + i * s_stride + t;
      for (uint32_t j = 0; j < kv_tokens && t + j < span.tokens; ++j)
        to[j] = factor[i] * sums[j] + (accumulate ? to[j] : 0.0F);
    }
  }
}

// Weights times the scales of one block, as integers in pairs of tokens; returns what one is worth.
inline float round_weights(const float* p, const float* scales, uint32_t tokens, int32_t* out) {
  const uint32_t second = tokens > lanes ? tokens - lanes : 0;
  __m512 low = tokens >= lanes ? load(p) : load_part(p, tokens);
  __m512 high = second >= lanes ? load(p + lanes) : second > 0 ? load_part(p + lanes, second) : zero();
  low = mul(low, load(scales)), high = mul(high, load(scales + lanes));
  const float most = max_lane(max(magnitude(low), magnitude(high)));
  const bool nothing = !(most > 1e-30F);
  const __m512 by = set1(nothing ? 0.0F : largest / most);
  const __m256i first = _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(mul(low, by)));
  const __m256i rest = _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(mul(high, by)));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), first);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + lanes / 2), rest);
  return nothing ? 0.0F : most / largest;
}

// acc[i] += Σ_t p[i][t] · v[t]: two tokens per instruction, a block of 32 values at a time.
template <uint32_t queries>
inline void mix_few(const Span& span, const float* scales, const float* p, size_t p_stride, float* acc,
                    size_t acc_stride) {
  for (uint32_t b = 0; b < span.blocks; ++b) {
    alignas(64) int32_t weights[queries][span_tokens / 2];
    float factor[queries];
    for (size_t i = 0; i < queries; ++i)
      factor[i] = round_weights(p + i * p_stride, scales + b * span_tokens, span.tokens, weights[i]);
    __m512i low[queries], high[queries];
    for (size_t i = 0; i < queries; ++i) low[i] = high[i] = _mm512_setzero_si512();
    for (uint32_t t = 0; t < span.tokens; t += 2) {
      const __m512i first = span.integers(t, b);
      const __m512i second = t + 1 < span.tokens ? span.integers(t + 1, b) : _mm512_setzero_si512();
      const __m512i left = _mm512_unpacklo_epi16(first, second), right = _mm512_unpackhi_epi16(first, second);
      for (size_t i = 0; i < queries; ++i) {
        const __m512i weight = _mm512_set1_epi32(weights[i][t / 2]);
        low[i] = _mm512_dpwssd_epi32(low[i], left, weight);
        high[i] = _mm512_dpwssd_epi32(high[i], right, weight);
      }
    }
    // Each quarter of a vector holds four of eight neighbouring values.
    const __m512i front = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
    const __m512i back = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    for (size_t i = 0; i < queries; ++i) {
      float* to = acc + i * acc_stride + b * block_values;
      const __m512 by = set1(factor[i]);
      const __m512i ordered[2] = {_mm512_permutex2var_epi64(low[i], front, high[i]),
                                  _mm512_permutex2var_epi64(low[i], back, high[i])};
      for (size_t j = 0; j < 2; ++j)
        store(to + j * lanes, fma(_mm512_cvtepi32_ps(ordered[j]), by, load(to + j * lanes)));
    }
  }
}

// f(span, first block, first token) for the parts of `tokens` rows.
template <class F>
inline void each_span(const void* data, size_t token_stride, uint32_t tokens, uint32_t head, F f) {
  const uint32_t blocks = head / block_values;
  for (uint32_t b = 0; b < blocks; b += span_blocks) {
    for (uint32_t t = 0; t < tokens; t += span_tokens) {
      const auto* rows = static_cast<const uint8_t*>(data) + t * token_stride + size_t{b} * block_bytes;
      f(Span{rows, token_stride, tokens - t < span_tokens ? tokens - t : span_tokens,
             blocks - b < span_blocks ? blocks - b : span_blocks},
        b, t);
    }
  }
}

void score(const void* k, size_t token_stride, uint32_t tokens, uint32_t head, const float* q,
           size_t q_stride, uint32_t queries, float* s, size_t s_stride) {
  each_span(k, token_stride, tokens, head, [&](const Span& span, uint32_t b, uint32_t t) {
    alignas(64) float scales[span_blocks * span_tokens];
    span.scales(scales);
    const float* from = q + size_t{b} * block_values;
    uint32_t i = 0;
    const auto some = [&](auto kernel, uint32_t n) {
      for (; i + n <= queries; i += n)
        kernel(span, scales, from + i * q_stride, q_stride, s + i * s_stride + t, s_stride, b > 0);
    };
    some(score_few<span_queries>, span_queries);
    some(score_few<2>, 2);
    some(score_few<1>, 1);
  });
}

void mix(const void* v, size_t token_stride, uint32_t tokens, uint32_t head, const float* p, size_t p_stride,
         uint32_t queries, float* acc, size_t acc_stride) {
  each_span(v, token_stride, tokens, head, [&](const Span& span, uint32_t b, uint32_t t) {
    alignas(64) float scales[span_blocks * span_tokens];
    span.scales(scales);
    float* to = acc + size_t{b} * block_values;
    uint32_t i = 0;
    const auto some = [&](auto kernel, uint32_t n) {
      for (; i + n <= queries; i += n)
        kernel(span, scales, p + i * p_stride + t, p_stride, to + i * acc_stride, acc_stride);
    };
    some(mix_few<span_queries>, span_queries);
    some(mix_few<2>, 2);
    some(mix_few<1>, 1);
  });
}

}  // namespace

const KvKernels kv_q8_0 = {store_q8_0, score, mix};

}  // namespace hearth::cpu::avx512vnni
