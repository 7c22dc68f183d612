#pragma once

// The types with blocks of 256 values and a scale per 16 or 32 (layout: src/tensor/types/), unpacked with
// AVX2 byte operations.
#include "device/cpu/wide/blocks.h"

namespace hearth::cpu {
namespace {

inline uint32_t word_at(const uint8_t* p) {
  uint32_t word = 0;
  __builtin_memcpy(&word, p, sizeof word);
  return word;
}

inline __m256i low_nibbles(__m256i v) { return _mm256_and_si256(v, splat(15)); }
inline __m256i high_nibbles(__m256i v) { return low_nibbles(_mm256_srli_epi16(v, 4)); }

// to[i] = factor · (byte i), each product rounded once; eight bytes in two words, signed or not.
inline void scales_of(uint32_t low, uint32_t high, float factor, float* to) {
  const __m128i eight = _mm_set_epi32(0, 0, static_cast<int>(high), static_cast<int>(low));
  _mm256_storeu_ps(to,
                   _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(eight)), _mm256_set1_ps(factor)));
}
inline void signed_scales_of(__m128i eight, float factor, float* to) {
  _mm256_storeu_ps(to,
                   _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(eight)), _mm256_set1_ps(factor)));
}

// Q4_K and Q5_K: d, dmin, then eight scales and eight minima of six bits in twelve bytes.
inline void six_bit_pairs(const uint8_t* block, float* scale, float* offset) {
  const uint32_t a = word_at(block + 4), b = word_at(block + 8), c = word_at(block + 12);
  constexpr uint32_t six = 0x3f3f3f3fU, four = 0x0f0f0f0fU, top = 0x30303030U;
  scales_of(a & six, (c & four) | ((a >> 2) & top), half_at(block), scale);
  // −dmin · minimum is −(dmin · minimum) bit for bit.
  scales_of(b & six, ((c >> 4) & four) | ((b >> 2) & top), -half_at(block + 2), offset);
}

struct Q4_K {
  static constexpr uint32_t id = 12, values = 256, bytes = 144, group = 32;
  static constexpr bool has_offset = true, by_eight = false;
  static const int8_t* unpack(const uint8_t* block, int8_t* space, float* scale, float* offset) {
    six_bit_pairs(block, scale, offset);
    for (uint32_t k = 0; k < 4; ++k) {
      const __m256i v = load32(block + 16 + 32 * k);
      store32(space + 64 * k, low_nibbles(v));
      store32(space + 64 * k + 32, high_nibbles(v));
    }
    return space;
  }
};

struct Q5_K {
  static constexpr uint32_t id = 13, values = 256, bytes = 176, group = 32;
  static constexpr bool has_offset = true, by_eight = false;
  static const int8_t* unpack(const uint8_t* block, int8_t* space, float* scale, float* offset) {
    six_bit_pairs(block, scale, offset);
    // Bit j of h belongs to sub-block j: it is moved down to bit 0 of its byte as j grows.
    __m256i h = load32(block + 16);
    const auto fifth = [&h] {
      const __m256i bit = _mm256_slli_epi16(_mm256_and_si256(h, splat(1)), 4);
      h = _mm256_srli_epi16(h, 1);
      return bit;
    };
    for (uint32_t k = 0; k < 4; ++k) {
      const __m256i v = load32(block + 48 + 32 * k);
      store32(space + 64 * k, _mm256_or_si256(low_nibbles(v), fifth()));
      store32(space + 64 * k + 32, _mm256_or_si256(high_nibbles(v), fifth()));
    }
    return space;
  }
};

struct Q6_K {
  static constexpr uint32_t id = 14, values = 256, bytes = 210, group = 16;
  static constexpr bool has_offset = false, by_eight = false;
  static const int8_t* unpack(const uint8_t* block, int8_t* space, float* scale, float*) {
    const __m128i sixteen = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + 192));
    const float d = half_at(block + 208);
    signed_scales_of(sixteen, d, scale);
    signed_scales_of(_mm_srli_si128(sixteen, 8), d, scale + 8);
    const auto put = [](int8_t* to, __m256i nibble, __m256i top) {
      store32(to, _mm256_sub_epi8(_mm256_or_si256(nibble, _mm256_and_si256(top, splat(0x30))), splat(32)));
    };
    for (uint32_t g = 0; g < 2; ++g, space += 128) {
      const __m256i a = load32(block + 64 * g), b = load32(block + 64 * g + 32),
                    h = load32(block + 128 + 32 * g);
      put(space, low_nibbles(a), _mm256_slli_epi16(h, 4));
      put(space + 32, low_nibbles(b), _mm256_slli_epi16(h, 2));
      put(space + 64, high_nibbles(a), h);
      put(space + 96, high_nibbles(b), _mm256_srli_epi16(h, 2));
    }
    return space - 256;
  }
};

struct Q2_K {
  static constexpr uint32_t id = 10, values = 256, bytes = 84, group = 16;
  static constexpr bool has_offset = true, by_eight = false;
  static const int8_t* unpack(const uint8_t* block, int8_t* space, float* scale, float* offset) {
    const float d = half_at(block + 80), dmin = half_at(block + 82);
    for (uint32_t j = 0; j < 16; j += 8) {
      const uint32_t low = word_at(block + j), high = word_at(block + j + 4);
      constexpr uint32_t four = 0x0f0f0f0fU;
      scales_of(low & four, high & four, d, scale + j);
      scales_of((low >> 4) & four, (high >> 4) & four, -dmin, offset + j);
    }
    for (uint32_t g = 0; g < 2; ++g) {
      __m256i v = load32(block + 16 + 32 * g);
      for (uint32_t r = 0; r < 4; ++r, v = _mm256_srli_epi16(v, 2)) {
        store32(space + 128 * g + 32 * r, _mm256_and_si256(v, splat(3)));
      }
    }
    return space;
  }
};

struct Q3_K {
  static constexpr uint32_t id = 11, values = 256, bytes = 110, group = 16;
  static constexpr bool has_offset = false, by_eight = false;
  static void six_bit_scales(const uint8_t* sc, float d, float* scale) {
    const uint32_t a = word_at(sc), b = word_at(sc + 4), c = word_at(sc + 8);
    constexpr uint32_t four = 0x0f0f0f0fU, top = 0x30303030U;
    const __m128i words = _mm_setr_epi32(static_cast<int>((a & four) | ((c << 4) & top)),
                                         static_cast<int>((b & four) | ((c << 2) & top)),
                                         static_cast<int>(((a >> 4) & four) | (c & top)),
                                         static_cast<int>(((b >> 4) & four) | ((c >> 2) & top)));
    const __m128i centred = _mm_sub_epi8(words, _mm_set1_epi8(32));
    signed_scales_of(centred, d, scale);
    signed_scales_of(_mm_srli_si128(centred, 8), d, scale + 8);
  }
  static const int8_t* unpack(const uint8_t* block, int8_t* space, float* scale, float*) {
    six_bit_scales(block + 96, half_at(block + 108), scale);
    // The third bit is stored the other way round: 0 means −4.
    __m256i missing = _mm256_xor_si256(load32(block), splat(0xff));
    for (uint32_t g = 0; g < 2; ++g) {
      __m256i v = load32(block + 32 + 32 * g);
      for (uint32_t r = 0; r < 4; ++r) {
        const __m256i four = _mm256_slli_epi16(_mm256_and_si256(missing, splat(1)), 2);
        store32(space + 128 * g + 32 * r, _mm256_sub_epi8(_mm256_and_si256(v, splat(3)), four));
        v = _mm256_srli_epi16(v, 2);
        missing = _mm256_srli_epi16(missing, 1);
      }
    }
    return space;
  }
};

struct IQ4_XS {
  static constexpr uint32_t id = 23, values = 256, bytes = 136, group = 32;
  static constexpr bool has_offset = false, by_eight = false;
  static const int8_t* unpack(const uint8_t* block, int8_t* space, float* scale, float*) {
    const uint32_t high = word_at(block) >> 16, low = word_at(block + 4);
    const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i four =
        _mm256_srlv_epi32(_mm256_set1_epi32(static_cast<int>(low)), _mm256_slli_epi32(index, 2));
    const __m256i two =
        _mm256_srlv_epi32(_mm256_set1_epi32(static_cast<int>(high)), _mm256_slli_epi32(index, 1));
    const __m256i six = _mm256_or_si256(_mm256_and_si256(four, _mm256_set1_epi32(15)),
                                        _mm256_slli_epi32(_mm256_and_si256(two, _mm256_set1_epi32(3)), 4));
    const __m256 centred = _mm256_cvtepi32_ps(_mm256_sub_epi32(six, _mm256_set1_epi32(32)));
    _mm256_storeu_ps(scale, _mm256_mul_ps(centred, _mm256_set1_ps(half_at(block))));
    for (uint32_t g = 0; g < 8; ++g)
      store32(space + 32 * g, look_up(iq4_values, nibbles(block + 8 + 16 * g)));
    return space;
  }
};

}  // namespace
}  // namespace hearth::cpu
