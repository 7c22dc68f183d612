#pragma once

// Levels and scales of half a strip (packed.h): eight rows per vector.
#include "device/cpu/packed.h"
#include "device/cpu/wide/intrinsics.h"

namespace hearth::cpu {
namespace {

template <class T>
inline T at(const uint8_t* p) {
  T v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
inline __m256i four_columns(const uint8_t* p) { return _mm256_set1_epi32(at<int32_t>(p)); }
inline __m256 one_float(const uint8_t* p) { return _mm256_set1_ps(at<float>(p)); }
inline __m256i load(const uint8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
inline __m256i splat(int v) { return _mm256_set1_epi8(static_cast<char>(v)); }
inline int32_t sum_of(__m256i v) {
  __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}
inline __m256i table_of(const uint8_t* values) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(values)));
}

// The largest |level − bias|.
constexpr uint32_t largest_magnitude(const PackedForm& f) {
  const uint8_t* table = level_table(f.type);
  const uint32_t levels = f.levels == Levels::eight      ? 256
                          : f.levels == Levels::four_two ? 64
                          : f.levels == Levels::four_one ? 32
                          : f.levels == Levels::four     ? 16
                          : f.levels == Levels::two_one  ? 8
                          : f.levels == Levels::two      ? 4
                                                         : 3;  // of one bit: 0 and 2
  uint32_t most = 0;
  for (uint32_t i = f.levels == Levels::eight ? 1 : 0; i < levels; ++i) {
    const uint32_t level = table != nullptr ? table[i] : i;
    const uint32_t size = level < f.bias ? f.bias - level : level - f.bias;
    most = size > most ? size : most;
  }
  return most;
}

// `vpmaddubsw` multiplies bytes without a sign by bytes with one and adds two products in sixteen bits, which
// leaves four ways for levels l = level − bias and activations x of −127 … 127:
enum class Way {
  levels,   // level · x, the bias later
  signs,    // |l| · (x with the sign of l)
  flipped,  // |l| · (x, or −x − 1 where l < 0), and Σ |l| of those l, which the weights alone decide
  shifted,  // l · (x + 128), less 128 · Σ l, which the weights alone decide
};
constexpr uint32_t most_of(const PackedForm& f, Way way) {  // of a product
  if (way == Way::shifted) return largest_magnitude(f) * 255;
  if (way == Way::flipped) return largest_magnitude(f) * 128;
  const uint32_t most = largest_magnitude(f) + (way == Way::levels && f.bias < 128 ? f.bias : 0);
  return most * 127;
}
// How many products of two columns fit sixteen bits.
constexpr uint32_t fitting(const PackedForm& f, Way way) {
  const uint32_t n = 32767 / (most_of(f, way) * 2);
  return n >= 8 ? 8 : n >= 4 ? 4 : n >= 2 ? 2 : 1;
}
// For a few activation rows, as they are in the integer row; levels of eight bits need the sign.
constexpr Way few_way(const PackedForm& f) { return f.bias == 128 ? Way::signs : Way::levels; }
// For many, which are worth preparing.
constexpr Way many_way(const PackedForm& f) {
  if (f.bias == 0) return Way::levels;
  if (largest_magnitude(f) <= 32) return Way::shifted;
  return Way::flipped;
}

// Eight quads of half a strip, as bytes with a sign for types of bias 128: `half` is 0 or 32.
template <PackedForm form>
inline void load_levels(const uint8_t* p, size_t half, __m256i (&q)[8]) {
  p += half;
  if constexpr (form.levels == Levels::eight) {
    for (size_t j = 0; j < 8; ++j) q[j] = _mm256_xor_si256(load(p + 64 * j), splat(-128));
    return;
  }
  if constexpr (form.levels == Levels::one) {
    const __m256i bits = load(p), two = splat(2);
    for (size_t j = 0; j < 8; ++j) {  // ±1 as 2 or 0, less the bias
      const __m256i bit = splat(1 << j);
      q[j] = _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(bits, bit), bit), two);
    }
    return;
  }
  if constexpr (form.levels == Levels::two || form.levels == Levels::two_one) {
    for (size_t h = 0; h < 2; ++h) {
      const __m256i four = load(p + 64 * h);
      q[4 * h] = _mm256_and_si256(four, splat(3));
      q[4 * h + 1] = _mm256_and_si256(_mm256_srli_epi16(four, 2), splat(3));
      q[4 * h + 2] = _mm256_and_si256(_mm256_srli_epi16(four, 4), splat(3));
      q[4 * h + 3] = _mm256_and_si256(_mm256_srli_epi16(four, 6), splat(3));
    }
    p += 128;
  } else {
    for (size_t j = 0; j < 4; ++j) {
      const __m256i both = load(p + 64 * j);
      q[j] = _mm256_and_si256(both, splat(15));
      q[j + 4] = _mm256_and_si256(_mm256_srli_epi16(both, 4), splat(15));
    }
    p += 256;
  }
  if constexpr (form.levels == Levels::four_one || form.levels == Levels::two_one) {
    const __m256i bits = load(p), worth = splat(form.levels == Levels::four_one ? 16 : 4);
    for (size_t j = 0; j < 8; ++j) {
      const __m256i bit = splat(1 << j), set = _mm256_cmpeq_epi8(_mm256_and_si256(bits, bit), bit);
      q[j] = _mm256_or_si256(q[j], _mm256_and_si256(set, worth));
    }
  }
  if constexpr (form.levels == Levels::four_two) {
    for (size_t h = 0; h < 2; ++h) {
      const __m256i four = load(p + 64 * h);
      __m256i* to = q + 4 * h;
      to[0] = _mm256_or_si256(to[0], _mm256_and_si256(_mm256_slli_epi16(four, 4), splat(0x30)));
      to[1] = _mm256_or_si256(to[1], _mm256_and_si256(_mm256_slli_epi16(four, 2), splat(0x30)));
      to[2] = _mm256_or_si256(to[2], _mm256_and_si256(four, splat(0x30)));
      to[3] = _mm256_or_si256(to[3], _mm256_and_si256(_mm256_srli_epi16(four, 2), splat(0x30)));
    }
  }
  if constexpr (level_table(form.type) != nullptr) {
    __m256i table = table_of(level_table(form.type));
    if constexpr (form.bias == 128) table = _mm256_xor_si256(table, splat(-128));
    for (__m256i& v : q) v = _mm256_shuffle_epi8(table, v);
  }
}

// Ways whose products are right only with what the weights alone decide.
constexpr bool needs_shift(Way way) { return way == Way::shifted || way == Way::flipped; }
constexpr bool needs_sign(Way way) { return way == Way::signs || way == Way::flipped; }

// Sixteen-bit sums of two neighbouring columns. `sign`: for signs the level, whose magnitude `level` then is,
// for flipped all ones where it lies below zero.
template <Way way>
inline __m256i product_of(__m256i level, __m256i sign, __m256i x) {
  if constexpr (way == Way::signs) return _mm256_maddubs_epi16(level, _mm256_sign_epi8(x, sign));
  if constexpr (way == Way::flipped) return _mm256_maddubs_epi16(level, _mm256_xor_si256(x, sign));
  if constexpr (way == Way::shifted) return _mm256_maddubs_epi16(x, level);
  return _mm256_maddubs_epi16(level, x);
}

// Levels as one way wants them.
template <PackedForm form, Way way>
struct Quads {
  __m256i q[8], sign[needs_sign(way) ? 8 : 1];

  Quads(const uint8_t* p, size_t half) {
    load_levels<form>(p, half, q);
    for (size_t j = 0; j < 8; ++j) {
      if constexpr (way == Way::shifted && form.bias != 128) q[j] = _mm256_sub_epi8(q[j], splat(form.bias));
      if constexpr (way == Way::signs) sign[j] = q[j];
      if constexpr (way == Way::flipped) sign[j] = _mm256_cmpgt_epi8(_mm256_setzero_si256(), q[j]);
      if constexpr (needs_sign(way)) q[j] = _mm256_abs_epi8(q[j]);
    }
  }
  __m256i product(size_t j, __m256i x) const {
    return product_of<way>(q[j], sign[needs_sign(way) ? j : 0], x);
  }
  // Σ level · x of `quads` quads from number `first` on, times `factor`, which every lane has twice. x(j):
  // the four bytes of quad j in each lane.
  template <uint32_t quads, class X>
  __m256i sum(size_t first, X x, __m256i factor) const {
    constexpr uint32_t together = fitting(form, way) < quads ? fitting(form, way) : quads;
    __m256i total = _mm256_setzero_si256();
    for (size_t j = first; j < first + quads; j += together) {
      __m256i part = product(j, x(j));
      for (size_t i = j + 1; i < j + together; ++i) part = _mm256_add_epi16(part, product(i, x(i)));
      const __m256i wide = _mm256_madd_epi16(part, factor);
      total = j == first ? wide : _mm256_add_epi32(total, wide);
    }
    return total;
  }
};

inline __m256 signed_bytes(const uint8_t* p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}
inline __m256 halves(const uint8_t* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
template <bool needed>
inline __m256 times(__m256 v, float factor) {
  return needed ? _mm256_mul_ps(v, _mm256_set1_ps(factor)) : v;
}
// Half of an E4M3 number without its sign, which is a half-precision number without its lowest bits but for
// the bias of the exponent.
inline __m256 halved_e4m3(const uint8_t* p) {
  const __m128i bytes = _mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  return _mm256_mul_ps(_mm256_cvtph_ps(_mm_slli_epi16(bytes, 7)), _mm256_set1_ps(128.0F));
}
// 2^(e − 128): as a number with exponent e − 1; below that the two subnormal ones.
inline __m256 exponents(const uint8_t* p) {
  const __m256i e = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  const __m256i one = _mm256_set1_epi32(1);
  const __m256i normal = _mm256_slli_epi32(_mm256_sub_epi32(e, one), 23);
  const __m256i subnormal = _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000), e);
  return _mm256_castsi256_ps(
      _mm256_blendv_epi8(normal, subnormal, _mm256_cmpgt_epi32(_mm256_set1_epi32(2), e)));
}

// Sums of integers that 32 columns give.
constexpr uint32_t sums_of(const PackedForm& f) { return f.group == 16 ? 2 : 1; }

// What 32 columns of eight rows are multiplied with: one or two groups.
struct ColumnScales {
  __m256 scale[2], minimum;
};

// The scales of half a strip as they come by, from column `first` on, where a block begins.
template <PackedForm form>
struct StripScales {
  const uint8_t *group, *block;
  size_t half;  // 0 or 8: which rows
  __m256 block_scale, block_min;

  StripScales(const uint8_t* strip, size_t cols, size_t rows_from, size_t first)
      : group(strip + group_scales_at(form, cols) + first / form.group * group_scale_bytes(form.scales)),
        block(strip + block_scales_at(form, cols) + first / form.block * block_scale_bytes(form.scales)),
        half(rows_from) {}

  void next_block() {
    if constexpr (form.scales == Scales::exponent) {
      block_scale = exponents(block + half);
    } else if constexpr (form.scales != Scales::grouped_e4m3) {
      block_scale = times<scale_factor(form.type) != 1.0F>(halves(block + 2 * half), scale_factor(form.type));
      if constexpr (is_affine(form.scales)) {
        block_min = times<minimum_factor(form.type) != 1.0F>(halves(block + 32 + 2 * half),
                                                             minimum_factor(form.type));
      }
    }
    block += block_scale_bytes(form.scales);
  }
  void next_columns(ColumnScales& s) {
    for (size_t g = 0; g < 32 / form.group; ++g) next_group(s, g);
  }

 private:
  void next_group(ColumnScales& s, size_t g) {
    const uint8_t* at = group + half;
    s.scale[g] = block_scale;
    if constexpr (form.scales == Scales::grouped_e4m3) {
      s.scale[g] = halved_e4m3(at);
    } else if constexpr (form.scales == Scales::grouped) {
      s.scale[g] = _mm256_mul_ps(block_scale, signed_bytes(at));
    } else if constexpr (is_affine(form.scales)) {  // Q4_1 and Q5_1 add their minimum
      s.minimum = _mm256_sub_ps(_mm256_setzero_ps(), block_min);
    }
    group += group_scale_bytes(form.scales);
  }
};

// The integers of 32 columns of eight rows: Σ (level − bias) · x.
template <PackedForm form>
struct Sums {
  __m256i v[sums_of(form)];
};
template <PackedForm form, Way way, class X>
inline Sums<form> level_sums(const Quads<form, way>& levels, X x) {
  const __m256i ones = _mm256_set1_epi16(1);
  if constexpr (form.group == 16) {
    return {{levels.template sum<4>(0, x, ones), levels.template sum<4>(4, x, ones)}};
  } else {
    return {{levels.template sum<8>(0, x, ones)}};
  }
}

// acc + Σ weight · x over 32 columns of eight rows, from the sums of integers. All kernels of this set add in
// this order. `x` is a row of integers.
template <PackedForm form>
inline __m256 add_columns(const Sums<form>& sums, const ColumnScales& s, const uint8_t* x, IntegerRow row,
                          size_t k, __m256 acc) {
  const __m256 x_scale = one_float(x + row.scale + k / 8);
  for (size_t g = 0; g < sums_of(form); ++g)
    acc = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums.v[g]), _mm256_mul_ps(s.scale[g], x_scale), acc);
  if constexpr (is_affine(form.scales)) {
    static_assert(form.group == 32);
    acc = _mm256_fnmadd_ps(s.minimum, one_float(x + row.sum32 + k / 8), acc);
  }
  return acc;
}

}  // namespace
}  // namespace hearth::cpu
