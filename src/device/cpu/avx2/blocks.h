#pragma once

// Products of types whose groups have integer scales, in blocks of 256 columns, where the activations have
// one scale per block: all of a block is summed as integers.
//   Σ weight · x = x scale · (block scale · Σ scale · Σ (level − bias) · x − block minimum · Σ minimum · Σ x)
#include "device/cpu/avx2/job.h"

namespace hearth::cpu {
namespace {

// Eight integers of one byte, each twice in a lane of the result.
inline __m256i bytes_twice(const uint8_t* p) {
  const __m256i bytes = _mm256_broadcastq_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  const __m256i to = _mm256_setr_epi8(0, -1, 0, -1, 1, -1, 1, -1, 2, -1, 2, -1, 3, -1, 3, -1, 4, -1, 4, -1, 5,
                                      -1, 5, -1, 6, -1, 6, -1, 7, -1, 7, -1);
  return _mm256_shuffle_epi8(bytes, to);
}
inline __m256i signed_bytes_twice(const uint8_t* p) {
  return _mm256_srai_epi16(_mm256_slli_epi16(bytes_twice(p), 8), 8);
}

// A block of eight of a strip's rows: levels and scales.
template <PackedForm form>
struct Block {
  const uint8_t *levels, *group, *scales;
  size_t half;  // 0 or 8: which rows

  Block(const uint8_t* strip, size_t cols, size_t rows_from, size_t k)
      : levels(strip + k / 32 * level_bytes(form.levels)),
        group(strip + group_scales_at(form, cols) + k / form.group * group_scale_bytes(form.scales) +
              rows_from),
        scales(strip + block_scales_at(form, cols) + k / form.block * block_scale_bytes(form.scales)),
        half(rows_from) {}

  template <Way way>
  Quads<form, way> quads(size_t columns) const {  // of the 32 columns with this number
    return Quads<form, way>(levels + columns * level_bytes(form.levels), 4 * half);
  }
  // The scale of group g, twice in a lane.
  __m256i scale(size_t g) const {
    const uint8_t* p = group + g * group_scale_bytes(form.scales);
    if constexpr (form.scales == Scales::grouped) return signed_bytes_twice(p);
    if constexpr (form.scales == Scales::grouped_affine) return bytes_twice(p);
    return _mm256_and_si256(bytes_twice(p), _mm256_set1_epi16(15));
  }
  // The minima of groups g and g + 1, side by side.
  __m256i minima(size_t g) const {
    const uint8_t* p = group + g * group_scale_bytes(form.scales);
    if constexpr (form.scales == Scales::grouped_affine) p += strip_rows;
    const auto eight = [](const uint8_t* q) { return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(q)); };
    const __m256i both =
        _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(eight(p), eight(p + group_scale_bytes(form.scales))));
    return form.scales == Scales::grouped_nibbles ? _mm256_srli_epi16(both, 4) : both;
  }
  __m256 block_scale() const {
    return times<scale_factor(form.type) != 1.0F>(halves(scales + 2 * half), scale_factor(form.type));
  }
  __m256 block_minimum() const {
    return times<minimum_factor(form.type) != 1.0F>(halves(scales + 32 + 2 * half),
                                                    minimum_factor(form.type));
  }
};

// − bias · Σ scale · Σ x of 32 columns, in groups of sixteen; their sums fit the halves of a lane.
template <PackedForm form>
inline __m256i bias_sum(const __m256i* scale, const uint8_t* x, IntegerRow row, size_t k) {
  static_assert(form.group == 16);
  const __m256i sums = four_columns(x + row.short_sum16 + k / 8);
  const __m256i sum = _mm256_madd_epi16(_mm256_blend_epi16(scale[0], scale[1], 0xaa), sums);
  return _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_slli_epi32(sum, log2_of(form.bias)));
}

// acc + the block at column k, from its sum of integers. `x` is a row of integers. Everybody adds in this
// way.
template <PackedForm form>
inline __m256 add_block(const Block<form>& block, const __m256i* minima, __m256i sum, const uint8_t* x,
                        IntegerRow row, size_t k, __m256 acc) {
  __m256 v = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), block.block_scale());
  if constexpr (is_affine(form.scales)) {
    const uint8_t* sums = x + (form.group == 16 ? row.short_sum16 + k / 8 : row.short_sum32 + k / 16);
    __m256i taken = _mm256_setzero_si256();
    for (size_t g = 0; g < form.block / form.group / 2; ++g)
      taken = _mm256_add_epi32(taken, _mm256_madd_epi16(minima[g], four_columns(sums + 4 * g)));
    v = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(taken), block.block_minimum(), v);
  }
  return _mm256_fmadd_ps(v, one_float(x + row.scale + k / 8), acc);
}

template <PackedForm form>
struct Minima {
  __m256i v[is_affine(form.scales) ? form.block / form.group / 2 : 1];
  explicit Minima(const Block<form>& block) {
    if constexpr (is_affine(form.scales)) {
      for (size_t g = 0; g < form.block / form.group / 2; ++g) v[g] = block.minima(2 * g);
    }
  }
};

template <PackedForm form>
inline void scales_of(const Block<form>& block, size_t columns, __m256i (&scale)[2]) {
  for (size_t g = 0; g < 32 / form.group; ++g) scale[g] = block.scale(columns * (32 / form.group) + g);
}

}  // namespace
}  // namespace hearth::cpu
