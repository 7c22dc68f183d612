#pragma once

// The types with blocks of 32 values and one scale (layout: src/tensor/types/), unpacked with AVX2 byte
// operations.
#include "device/cpu/wide/dot.h"

namespace hearth::cpu {
namespace {

inline __m256i load32(const uint8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
inline void store32(int8_t* p, __m256i v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
inline __m256i splat(int v) { return _mm256_set1_epi8(static_cast<char>(v)); }

// 16 bytes → 32 nibbles: the low ones, then the high ones.
inline __m256i nibbles(const uint8_t* p) {
  const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_and_si256(_mm256_set_m128i(_mm_srli_epi16(v, 4), v), splat(15));
}

// 32 bits → 32 bytes, 0xff for a one.
inline __m256i bit_mask(const uint8_t* p) {
  int word = 0;
  __builtin_memcpy(&word, p, sizeof word);
  const __m256i which = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
  const __m256i bit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ULL));
  const __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32(word), which);
  return _mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit);
}

// Sixteen values looked up by nibble.
inline __m256i look_up(const int8_t* table, __m256i index) {
  const __m128i t = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
  return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(t), index);
}
alignas(16) constexpr int8_t iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                               1,    13,   25,  38,  53,  69,  89,  113};
alignas(16) constexpr int8_t fp4_doubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

struct Q4_0 {
  static constexpr uint32_t id = 2, values = 32, bytes = 18, group = 32;
  static constexpr bool has_offset = false, by_eight = true;
  static const int8_t* integers(const uint8_t* block, int8_t* space) {
    store32(space, _mm256_sub_epi8(nibbles(block + 2), splat(8)));
    return space;
  }
  static void scales(const uint8_t* blocks, float* scale, float*) { eight_halves(blocks, bytes, scale); }
  static const int8_t* unpack(const uint8_t* block, int8_t* space, float* scale, float*) {
    scale[0] = half_at(block);
    return integers(block, space);
  }
};

struct Q4_1 {
  static constexpr uint32_t id = 3, values = 32, bytes = 20, group = 32;
  static constexpr bool has_offset = true, by_eight = true;
  static const int8_t* integers(const uint8_t* block, int8_t* space) {
    store32(space, nibbles(block + 4));
    return space;
  }
  static void scales(const uint8_t* blocks, float* scale, float* offset) {
    eight_halves(blocks, bytes, scale);
    eight_halves(blocks + 2, bytes, offset);
  }
  static const int8_t* unpack(const uint8_t* block, int8_t* space, float* scale, float* offset) {
    scale[0] = half_at(block);
    offset[0] = half_at(block + 2);
    return integers(block, space);
  }
};

struct Q5_0 {
  static constexpr uint32_t id = 6, values = 32, bytes = 22, group = 32;
  static constexpr bool has_offset = false, by_eight = true;
  static const int8_t* integers(const uint8_t* block, int8_t* space) {
    // Nibble + 16·bit − 16: without the bit the upper half of the byte becomes the sign.
    const __m256i sign = _mm256_andnot_si256(bit_mask(block + 2), splat(0xf0));
    store32(space, _mm256_or_si256(nibbles(block + 6), sign));
    return space;
  }
  static void scales(const uint8_t* blocks, float* scale, float*) { eight_halves(blocks, bytes, scale); }
  static const int8_t* unpack(const uint8_t* block, int8_t* space, float* scale, float*) {
    scale[0] = half_at(block);
    return integers(block, space);
  }
};

struct Q5_1 {
  static constexpr uint32_t id = 7, values = 32, bytes = 24, group = 32;
  static constexpr bool has_offset = true, by_eight = true;
  static const int8_t* integers(const uint8_t* block, int8_t* space) {
    const __m256i high = _mm256_and_si256(bit_mask(block + 4), splat(16));
    store32(space, _mm256_or_si256(nibbles(block + 8), high));
    return space;
  }
  static void scales(const uint8_t* blocks, float* scale, float* offset) {
    eight_halves(blocks, bytes, scale);
    eight_halves(blocks + 2, bytes, offset);
  }
  static const int8_t* unpack(const uint8_t* block, int8_t* space, float* scale, float* offset) {
    scale[0] = half_at(block);
    offset[0] = half_at(block + 2);
    return integers(block, space);
  }
};

struct Q8_0 {
  static constexpr uint32_t id = 8, values = 32, bytes = 34, group = 32;
  static constexpr bool has_offset = false, by_eight = false;
  static const int8_t* unpack(const uint8_t* block, int8_t*, float* scale, float*) {
    scale[0] = half_at(block);
    return reinterpret_cast<const int8_t*>(block + 2);
  }
};

struct IQ4_NL {
  static constexpr uint32_t id = 20, values = 32, bytes = 18, group = 32;
  static constexpr bool has_offset = false, by_eight = true;
  static const int8_t* integers(const uint8_t* block, int8_t* space) {
    store32(space, look_up(iq4_values, nibbles(block + 2)));
    return space;
  }
  static void scales(const uint8_t* blocks, float* scale, float*) { eight_halves(blocks, bytes, scale); }
  static const int8_t* unpack(const uint8_t* block, int8_t* space, float* scale, float*) {
    scale[0] = half_at(block);
    return integers(block, space);
  }
};

struct MXFP4 {
  static constexpr uint32_t id = 39, values = 32, bytes = 17, group = 32;
  static constexpr bool has_offset = false, by_eight = true;
  // 2^(e − 128); the two smallest are subnormal.
  static float power(uint32_t e) {
    const uint32_t bits = e < 2 ? 0x00200000U << e : (e - 1) << 23;
    float v = 0.0F;
    __builtin_memcpy(&v, &bits, sizeof v);
    return v;
  }
  static const int8_t* integers(const uint8_t* block, int8_t* space) {
    store32(space, look_up(fp4_doubled, nibbles(block + 1)));
    return space;
  }
  static void scales(const uint8_t* blocks, float* scale, float*) {
    for (size_t i = 0; i < 8; ++i) scale[i] = power(blocks[i * bytes]);
  }
  static const int8_t* unpack(const uint8_t* block, int8_t* space, float* scale, float*) {
    scale[0] = power(block[0]);
    return integers(block, space);
  }
};

}  // namespace
}  // namespace hearth::cpu
