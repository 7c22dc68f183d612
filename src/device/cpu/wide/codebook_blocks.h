#pragma once

// The types with a codebook (layout: src/tensor/types/): rows of eight or four weights come from a table.
#include "device/cpu/codebooks.h"
#include "device/cpu/wide/kblocks.h"

namespace hearth::cpu {
namespace {

inline uint32_t short_at(const uint8_t* p) {
  uint16_t v = 0;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

// Four rows of eight, eight rows of four.
inline __m256i rows_of(const uint64_t* book, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  const auto at = [book](uint32_t i) { return static_cast<long long>(book[i]); };
  return _mm256_set_epi64x(at(d), at(c), at(b), at(a));
}
inline __m256i rows_of(const uint32_t* book, const uint32_t (&i)[8]) {
  const auto at = [&](size_t k) { return static_cast<int>(book[i[k]]); };
  return _mm256_setr_epi32(at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7));
}
inline __m256i signed_by(__m256i v, uint32_t signs) {
  uint8_t bytes[4];
  __builtin_memcpy(bytes, &signs, sizeof bytes);
  const __m256i mask = bit_mask(bytes);
  return _mm256_sub_epi8(_mm256_xor_si256(v, mask), mask);
}
// Four numbers of seven bits as signs of 32 weights.
inline uint32_t four_signs(uint32_t numbers) {
  const auto at = [numbers](uint32_t l) { return uint32_t{codebooks.signs[(numbers >> (7 * l)) & 127U]}; };
  return at(0) | (at(1) << 8) | (at(2) << 16) | (at(3) << 24);
}
// Scales count in odd numbers; the products are exact.
inline float odd(uint32_t n) { return static_cast<float>(2 * n + 1); }

struct IQ2_XXS {
  static constexpr uint32_t id = 16, values = 256, bytes = 66, group = 32;
  static constexpr bool has_offset = false, by_eight = false;
  static const int8_t* unpack(const uint8_t* block, int8_t* space, float* scale, float*) {
    const float d = half_at(block) * 0.125F;
    for (size_t g = 0; g < 8; ++g) {
      const uint8_t* q = block + 2 + 8 * g;
      const uint32_t a = word_at(q + 4);
      scale[g] = d * odd(a >> 28);
      const __m256i rows = rows_of(codebooks.iq2_xxs, q[0], q[1], q[2], q[3]);
      store32(space + 32 * g, signed_by(rows, four_signs(a)));
    }
    return space;
  }
};

struct IQ2_XS {
  static constexpr uint32_t id = 17, values = 256, bytes = 74, group = 16;
  static constexpr bool has_offset = false, by_eight = false;
  static const int8_t* unpack(const uint8_t* block, int8_t* space, float* scale, float*) {
    const float d = half_at(block) * 0.125F;
    for (size_t g = 0; g < 8; ++g) {
      uint32_t row[4], signs = 0;
      for (size_t l = 0; l < 4; ++l) {
        const uint32_t q = short_at(block + 2 + 8 * g + 2 * l);
        row[l] = q & 511U;
        signs |= uint32_t{codebooks.signs[q >> 9]} << (8 * l);
      }
      scale[2 * g] = d * odd(block[66 + g] & 15U);
      scale[2 * g + 1] = d * odd(block[66 + g] >> 4);
      const __m256i rows = rows_of(codebooks.iq2_xs, row[0], row[1], row[2], row[3]);
      store32(space + 32 * g, signed_by(rows, signs));
    }
    return space;
  }
};

struct IQ2_S {
  static constexpr uint32_t id = 22, values = 256, bytes = 82, group = 16;
  static constexpr bool has_offset = false, by_eight = false;
  static const int8_t* unpack(const uint8_t* block, int8_t* space, float* scale, float*) {
    const float d = half_at(block) * 0.125F;
    for (size_t g = 0; g < 8; ++g) {
      const uint8_t* q = block + 2 + 4 * g;
      const uint32_t h = block[66 + g];
      const auto row = [&](uint32_t l) { return q[l] | (((h >> (2 * l)) & 3U) << 8); };
      scale[2 * g] = d * odd(block[74 + g] & 15U);
      scale[2 * g + 1] = d * odd(block[74 + g] >> 4);
      const __m256i rows = rows_of(codebooks.iq2_s, row(0), row(1), row(2), row(3));
      store32(space + 32 * g, signed_by(rows, word_at(block + 34 + 4 * g)));
    }
    return space;
  }
};

struct IQ3_XXS {
  static constexpr uint32_t id = 18, values = 256, bytes = 98, group = 32;
  static constexpr bool has_offset = false, by_eight = false;
  static const int8_t* unpack(const uint8_t* block, int8_t* space, float* scale, float*) {
    const float d = half_at(block) * 0.25F;
    for (size_t g = 0; g < 8; ++g) {
      uint32_t row[8];
      for (size_t r = 0; r < 8; ++r) row[r] = block[2 + 8 * g + r];
      const uint32_t a = word_at(block + 66 + 4 * g);
      scale[g] = d * odd(a >> 28);
      store32(space + 32 * g, signed_by(rows_of(codebooks.iq3_xxs, row), four_signs(a)));
    }
    return space;
  }
};

struct IQ3_S {
  static constexpr uint32_t id = 21, values = 256, bytes = 110, group = 32;
  static constexpr bool has_offset = false, by_eight = false;
  static const int8_t* unpack(const uint8_t* block, int8_t* space, float* scale, float*) {
    const float d = half_at(block);
    for (size_t g = 0; g < 8; ++g) {
      const uint32_t ninth = block[66 + g];
      uint32_t row[8];
      for (uint32_t r = 0; r < 8; ++r) row[r] = block[2 + 8 * g + r] | (((ninth >> r) & 1U) << 8);
      scale[g] = d * odd((block[106 + g / 2] >> (4 * (g % 2))) & 15U);
      store32(space + 32 * g, signed_by(rows_of(codebooks.iq3_s, row), word_at(block + 74 + 4 * g)));
    }
    return space;
  }
};

// Both types count in eighths: the levels −8, 0 and 8, shifted up or down by one.
struct IQ1_S {
  static constexpr uint32_t id = 19, values = 256, bytes = 50, group = 32;
  static constexpr bool has_offset = false, by_eight = false;
  static const int8_t* unpack(const uint8_t* block, int8_t* space, float* scale, float*) {
    const float d = half_at(block) * 0.125F;
    for (size_t g = 0; g < 8; ++g) {
      const uint8_t* q = block + 2 + 4 * g;
      const uint32_t h = short_at(block + 34 + 2 * g);
      const auto row = [&](uint32_t l) { return q[l] | (((h >> (3 * l)) & 7U) << 8); };
      scale[g] = d * odd((h >> 12) & 7U);
      const __m256i rows = rows_of(codebooks.iq1, row(0), row(1), row(2), row(3));
      store32(space + 32 * g, _mm256_add_epi8(rows, splat((h & 0x8000U) != 0 ? -1 : 1)));
    }
    return space;
  }
};

struct IQ1_M {
  static constexpr uint32_t id = 29, values = 256, bytes = 56, group = 16;
  static constexpr bool has_offset = false, by_eight = false;
  static float block_scale(const uint8_t* block) {
    uint16_t bits = 0;
    for (uint32_t i = 0; i < 4; ++i)
      bits = static_cast<uint16_t>(bits | (short_at(block + 48 + 2 * i) >> 12 << (4 * i)));
    uint8_t bytes_of[2];
    __builtin_memcpy(bytes_of, &bits, sizeof bits);
    return half_at(bytes_of) * 0.125F;
  }
  static const int8_t* unpack(const uint8_t* block, int8_t* space, float* scale, float*) {
    const float d = block_scale(block);
    for (size_t g = 0; g < 8; ++g) {
      const uint8_t* q = block + 4 * g;
      const uint32_t h = short_at(block + 32 + 2 * g),
                     s = short_at(block + 48 + 2 * (g / 2)) >> (6 * (g % 2));
      const auto row = [&](uint32_t l) { return q[l] | (((h >> (4 * l)) & 7U) << 8); };
      const auto shift = [&](uint32_t l) -> long long {
        return ((h >> (4 * l)) & 8U) != 0 ? -1 : 0x0101010101010101;
      };
      scale[2 * g] = d * odd(s & 7U);
      scale[2 * g + 1] = d * odd((s >> 3) & 7U);
      const __m256i rows = rows_of(codebooks.iq1, row(0), row(1), row(2), row(3));
      const __m256i shifts = _mm256_set_epi64x(shift(3), shift(2), shift(1), shift(0));
      store32(space + 32 * g, _mm256_add_epi8(rows, shifts));
    }
    return space;
  }
};

}  // namespace
}  // namespace hearth::cpu
