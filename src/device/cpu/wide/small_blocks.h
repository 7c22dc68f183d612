#pragma once

// The types of one bit, of three values, and NVFP4 (layout: src/tensor/types/).
#include "device/cpu/wide/kblocks.h"

namespace hearth::cpu {
namespace {

inline void same_scales(float d, size_t count, float* scale) {
  for (size_t j = 0; j < count; ++j) scale[j] = d;
}

struct Q1_0 {
  static constexpr uint32_t id = 41, values = 128, bytes = 18, group = 32;
  static constexpr bool has_offset = false, by_eight = false;
  static const int8_t* unpack(const uint8_t* block, int8_t* space, float* scale, float*) {
    same_scales(half_at(block), 4, scale);
    for (size_t g = 0; g < 4; ++g) {
      const __m256i set = bit_mask(block + 2 + 4 * g);
      store32(space + 32 * g, _mm256_sub_epi8(_mm256_and_si256(set, splat(2)), splat(1)));
    }
    return space;
  }
};

struct Q2_0 {
  static constexpr uint32_t id = 42, values = 64, bytes = 18, group = 32;
  static constexpr bool has_offset = false, by_eight = false;
  static const int8_t* unpack(const uint8_t* block, int8_t* space, float* scale, float*) {
    same_scales(half_at(block), 2, scale);
    const __m256i which =
        _mm256_setr_epi64x(0x0101010100000000, 0x0303030302020202, 0x0505050504040404, 0x0707070706060606);
    const __m256i low = _mm256_set1_epi32(0x40100401), high = _mm256_add_epi8(low, low);
    for (size_t g = 0; g < 2; ++g) {
      long long eight = 0;
      __builtin_memcpy(&eight, block + 2 + 8 * g, sizeof eight);
      const __m256i v = _mm256_shuffle_epi8(_mm256_set1_epi64x(eight), which);
      // A mask is −1: the value is −1 + one bit + twice the other.
      const __m256i one = _mm256_cmpeq_epi8(_mm256_and_si256(v, low), low);
      const __m256i two = _mm256_cmpeq_epi8(_mm256_and_si256(v, high), high);
      const __m256i sum = _mm256_add_epi8(one, _mm256_add_epi8(two, two));
      store32(space + 32 * g, _mm256_sub_epi8(splat(-1), sum));
    }
    return space;
  }
};

// floor(3 · b / 256) − 1 for bytes b: one more from 86 and from 171 on.
inline __m256i trits(__m256i b) {
  const auto from = [b](int least) { return _mm256_cmpeq_epi8(_mm256_max_epu8(b, splat(least)), b); };
  return _mm256_sub_epi8(splat(-1), _mm256_add_epi8(from(86), from(171)));
}
inline __m256i thrice(__m256i b) { return _mm256_add_epi8(b, _mm256_add_epi8(b, b)); }

struct TQ1_0 {
  static constexpr uint32_t id = 34, values = 256, bytes = 54, group = 32;
  static constexpr bool has_offset = false, by_eight = false;
  static const int8_t* unpack(const uint8_t* block, int8_t* space, float* scale, float*) {
    same_scales(half_at(block + 52), 8, scale);
    __m256i v = load32(block);
    for (size_t n = 0; n < 5; ++n, v = thrice(v)) store32(space + 32 * n, trits(v));
    // Sixteen bytes with five trits each, then four bytes with four: the first two of each at once.
    const __m128i q = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + 32));
    v = _mm256_set_m128i(_mm256_castsi256_si128(thrice(_mm256_castsi128_si256(q))), q);
    store32(space + 160, trits(v));
    v = thrice(thrice(v));
    store32(space + 192, trits(v));
    v = thrice(thrice(v));
    const __m128i four = _mm_set1_epi32(static_cast<int>(word_at(block + 48)));
    // Trit n of the last bytes in the n-th quarter.
    const __m256i once = _mm256_castsi128_si256(four), ninefold = thrice(thrice(once));
    const __m128i pair = _mm_unpacklo_epi32(four, _mm256_castsi256_si128(thrice(once)));
    const __m128i other =
        _mm_unpacklo_epi32(_mm256_castsi256_si128(ninefold), _mm256_castsi256_si128(thrice(ninefold)));
    const __m128i last = _mm_unpacklo_epi64(pair, other);
    store32(space + 224, trits(_mm256_set_m128i(last, _mm256_castsi256_si128(v))));
    return space;
  }
};

struct TQ2_0 {
  static constexpr uint32_t id = 35, values = 256, bytes = 66, group = 32;
  static constexpr bool has_offset = false, by_eight = false;
  static const int8_t* unpack(const uint8_t* block, int8_t* space, float* scale, float*) {
    same_scales(half_at(block + 64), 8, scale);
    for (size_t run = 0; run < 2; ++run) {
      __m256i v = load32(block + 32 * run);
      for (size_t pair = 0; pair < 4; ++pair, v = _mm256_srli_epi16(v, 2)) {
        store32(space + 128 * run + 32 * pair, _mm256_sub_epi8(_mm256_and_si256(v, splat(3)), splat(1)));
      }
    }
    return space;
  }
};

struct NVFP4 {
  static constexpr uint32_t id = 40, values = 64, bytes = 36, group = 16;
  static constexpr bool has_offset = false, by_eight = false;
  // Half of four E4M3 numbers without signs: half-precision numbers without the lowest bits, but for the bias
  // of the exponent. 0x7f counts as zero.
  static void four_scales(const uint8_t* p, float* scale) {
    const __m128i raw = _mm_cvtsi32_si128(static_cast<int>(word_at(p)));
    const __m128i none = _mm_cmpeq_epi8(raw, _mm_set1_epi8(0x7f));
    const __m128i sized = _mm_and_si128(_mm_andnot_si128(none, raw), _mm_set1_epi8(0x7f));
    const __m128i halves = _mm_slli_epi16(_mm_cvtepu8_epi16(sized), 7);
    _mm_storeu_ps(scale, _mm_mul_ps(_mm_cvtph_ps(halves), _mm_set1_ps(128.0F)));
  }
  static const int8_t* unpack(const uint8_t* block, int8_t* space, float* scale, float*) {
    four_scales(block, scale);
    for (size_t pair = 0; pair < 2; ++pair) {
      const __m128i q = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + 4 + 16 * pair));
      const __m128i mask = _mm_set1_epi8(15), low = _mm_and_si128(q, mask);
      const __m128i high = _mm_and_si128(_mm_srli_epi16(q, 4), mask);
      const __m256i index = _mm256_set_m128i(_mm_unpackhi_epi64(low, high), _mm_unpacklo_epi64(low, high));
      store32(space + 32 * pair, look_up(fp4_doubled, index));
    }
    return space;
  }
};

}  // namespace
}  // namespace hearth::cpu
