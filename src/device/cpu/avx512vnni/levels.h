#pragma once

// Eight quads of levels from 32 packed columns; see packed.h.
#include "device/cpu/packed.h"
#include "device/cpu/wide/intrinsics.h"

namespace hearth::cpu {
namespace {

inline __m512i load_line(const uint8_t* p) { return _mm512_loadu_si512(p); }

// The sixteen values of a table in each quarter of a vector.
template <uint32_t type>
inline __m512i from_table(__m512i numbers) {
  constexpr const uint8_t* values = level_table(type);
  if constexpr (values == nullptr) return numbers;
  const __m128i sixteen = _mm_loadu_si128(reinterpret_cast<const __m128i*>(values));
  return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(sixteen), numbers);
}

inline void four_bits(const uint8_t* p, __m512i (&q)[8]) {
  const __m512i mask = _mm512_set1_epi8(15);
  for (size_t j = 0; j < 4; ++j) {
    const __m512i both = load_line(p + 64 * j);
    q[j] = _mm512_and_si512(both, mask);
    q[j + 4] = _mm512_and_si512(_mm512_srli_epi16(both, 4), mask);
  }
}

inline void two_bits(const uint8_t* p, __m512i (&q)[8]) {
  const __m512i mask = _mm512_set1_epi8(3);
  for (size_t h = 0; h < 2; ++h) {
    const __m512i four = load_line(p + 64 * h);
    q[4 * h] = _mm512_and_si512(four, mask);
    q[4 * h + 1] = _mm512_and_si512(_mm512_srli_epi16(four, 2), mask);
    q[4 * h + 2] = _mm512_and_si512(_mm512_srli_epi16(four, 4), mask);
    q[4 * h + 3] = _mm512_and_si512(_mm512_srli_epi16(four, 6), mask);
  }
}

// q |= the bit of each quad, worth `value`.
template <char value>
inline void top_bit(const uint8_t* p, __m512i (&q)[8]) {
  const __m512i bits = load_line(p);
  for (size_t j = 0; j < 8; ++j) {
    const __mmask64 set = _mm512_test_epi8_mask(bits, _mm512_set1_epi8(static_cast<char>(1U << j)));
    q[j] = _mm512_mask_add_epi8(q[j], set, q[j], _mm512_set1_epi8(value));
  }
}

inline void top_two_bits(const uint8_t* p, __m512i (&q)[8]) {
  const __m512i mask = _mm512_set1_epi8(0x30);
  constexpr int or_and = 0xf8;  // a | (b & c)
  for (size_t h = 0; h < 2; ++h) {
    const __m512i four = load_line(p + 64 * h);
    __m512i* to = q + 4 * h;
    to[0] = _mm512_ternarylogic_epi32(to[0], _mm512_slli_epi16(four, 4), mask, or_and);
    to[1] = _mm512_ternarylogic_epi32(to[1], _mm512_slli_epi16(four, 2), mask, or_and);
    to[2] = _mm512_ternarylogic_epi32(to[2], four, mask, or_and);
    to[3] = _mm512_ternarylogic_epi32(to[3], _mm512_srli_epi16(four, 2), mask, or_and);
  }
}

template <uint32_t type, Levels levels>
inline void load_levels(const uint8_t* p, __m512i (&q)[8]) {
  if constexpr (levels == Levels::eight) {
    for (size_t j = 0; j < 8; ++j) q[j] = load_line(p + 64 * j);
  } else if constexpr (levels == Levels::one) {
    for (__m512i& v : q) v = _mm512_setzero_si512();
    top_bit<2>(p, q);  // ±1 as 2 or 0, less the bias
  } else if constexpr (levels == Levels::two || levels == Levels::two_one) {
    two_bits(p, q);
    if constexpr (levels == Levels::two_one) top_bit<4>(p + 128, q);
  } else {
    four_bits(p, q);
    if constexpr (levels == Levels::four_one) top_bit<16>(p + 256, q);
    if constexpr (levels == Levels::four_two) top_two_bits(p + 256, q);
  }
  for (__m512i& v : q) v = from_table<type>(v);
}

// Sixteen integers of eight bits as floats; minima are unsigned.
inline __m512 signed_bytes(const uint8_t* p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
inline __m512 unsigned_bytes(const uint8_t* p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
inline __m512 small_floats(__m128i bytes) { return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)); }
inline __m512 halves(const uint8_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
template <bool needed>
inline __m512 times(__m512 v, float factor) {
  return needed ? _mm512_mul_ps(v, _mm512_set1_ps(factor)) : v;
}
// 2^(e − 128), as MXFP4 wants it; subnormal results are exact too.
inline __m512 exponents(const uint8_t* p) {
  const __m512i e = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return _mm512_scalef_ps(_mm512_set1_ps(1.0F),
                          _mm512_cvtepi32_ps(_mm512_sub_epi32(e, _mm512_set1_epi32(128))));
}

// Half of an E4M3 number without its sign, which is a half-precision number without its lowest bits but for
// the bias of the exponent.
inline __m512 halved_e4m3(const uint8_t* p) {
  const __m256i bytes = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return _mm512_mul_ps(_mm512_cvtph_ps(_mm256_slli_epi16(bytes, 7)), _mm512_set1_ps(128.0F));
}
// Where a strip's parts begin, and the scales of its groups as they come by.
template <PackedForm form>
struct StripScales {
  const uint8_t *group, *block;
  __m512 block_scale, block_min;

  StripScales(const uint8_t* strip, size_t cols)
      : group(strip + group_scales_at(form, cols)), block(strip + block_scales_at(form, cols)) {}

  void next_block() {
    if constexpr (form.scales == Scales::exponent) {
      block_scale = exponents(block);
    } else if constexpr (form.scales != Scales::grouped_e4m3) {
      block_scale = times<scale_factor(form.type) != 1.0F>(halves(block), scale_factor(form.type));
      if constexpr (is_affine(form.scales)) {
        block_min = times<minimum_factor(form.type) != 1.0F>(halves(block + 32), minimum_factor(form.type));
      }
    }
    block += block_scale_bytes(form.scales);
  }
  // The scale of the next group, and what is taken off it per unit of the activations' sum.
  void next_group(__m512& scale, __m512& minimum) {
    if constexpr (form.scales == Scales::grouped_e4m3) {
      scale = halved_e4m3(group);
    } else if constexpr (form.scales == Scales::grouped) {
      scale = _mm512_mul_ps(block_scale, signed_bytes(group));
    } else if constexpr (form.scales == Scales::grouped_affine) {
      scale = _mm512_mul_ps(block_scale, unsigned_bytes(group));
      minimum = _mm512_mul_ps(block_min, unsigned_bytes(group + strip_rows));
    } else if constexpr (form.scales == Scales::grouped_nibbles) {
      const __m128i both = _mm_loadu_si128(reinterpret_cast<const __m128i*>(group));
      const __m128i mask = _mm_set1_epi8(15), high = _mm_and_si128(_mm_srli_epi16(both, 4), mask);
      scale = _mm512_mul_ps(block_scale, small_floats(_mm_and_si128(both, mask)));
      minimum = _mm512_mul_ps(block_min, small_floats(high));
    } else {
      scale = block_scale;
      // Q4_1 and Q5_1 add their minimum.
      if constexpr (is_affine(form.scales)) minimum = _mm512_sub_ps(_mm512_setzero_ps(), block_min);
    }
    group += group_scale_bytes(form.scales);
  }
};

}  // namespace
}  // namespace hearth::cpu
