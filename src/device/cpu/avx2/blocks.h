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

// Σ scale · level · x of the 32 columns with this number. x(j): the four bytes of quad j in each lane.
template <PackedForm form, Way way, class X>
inline __m256i scaled_sum(const Quads<form, way>& quads, const __m256i* scale, X x) {
  if constexpr (form.group == 32) return quads.template sum<8>(0, x, scale[0]);
  return _mm256_add_epi32(quads.template sum<4>(0, x, scale[0]), quads.template sum<4>(4, x, scale[1]));
}

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

// Both halves of a strip with `count` activation rows. What the next strip begins with is asked for on the
// way: memory is read as one stream.
template <PackedForm form, uint32_t count>
void multiply_blocks(const Job& job, size_t next) {
  constexpr Way way = few_way(form);
  const IntegerRow row = integer_row(job.cols);
  __m256 acc[2][count];
  for (auto& half : acc) {
    for (__m256& a : half) a = _mm256_setzero_ps();
  }
  const size_t step = next / (job.cols / 32) + 1;
  const uint8_t* ahead = job.strip + next;
  for (size_t k = 0; k < job.cols; k += form.block) {
    for (size_t h = 0; h < 2; ++h) {
      const Block<form> block(job.strip, job.cols, 8 * h, k);
      __m256i sum[count];
      for (__m256i& s : sum) s = _mm256_setzero_si256();
      for (size_t c = 0; c < form.block / 32; ++c) {
        if (next != 0 && h == 0) {
          for (size_t i = 0; i < step; i += 64)
            _mm_prefetch(reinterpret_cast<const char*>(ahead + i), _MM_HINT_T1);
          ahead += step;
        }
        const auto quads = block.template quads<way>(c);
        __m256i scale[2];
        scales_of(block, c, scale);
        for (size_t m = 0; m < count; ++m) {
          const uint8_t* x = job.x + m * job.x_bytes;
          const auto four = [&](size_t j) { return four_columns(x + k + 32 * c + 4 * j); };
          sum[m] = _mm256_add_epi32(sum[m], scaled_sum(quads, scale, four));
          if constexpr (way == Way::levels && form.bias != 0)
            sum[m] = _mm256_add_epi32(sum[m], bias_sum<form>(scale, x, row, k + 32 * c));
        }
      }
      const Minima<form> minima(block);
      for (size_t m = 0; m < count; ++m)
        acc[h][m] = add_block(block, minima.v, sum[m], job.x + m * job.x_bytes, row, k, acc[h][m]);
    }
  }
  for (size_t m = 0; m < count; ++m) {
    float* y = job.y + m * job.y_stride;
    put(acc[0][m], job.rows, y);
    if (job.rows > 8) put(acc[1][m], job.rows - 8, y + 8);
  }
}

// A block of eight rows with `count` activation rows, whose bytes lie x_bytes apart from `x` on.
template <PackedForm form, Way way>
inline void add_block_to_many(const Block<form>& block, const Job& job, uint32_t count, size_t k,
                              const uint8_t* x, size_t x_bytes, float* acc) {
  const IntegerRow row = integer_row(job.cols);
  alignas(32) int32_t sums[many_rows][8];
  __m256i shift = _mm256_setzero_si256();
  for (size_t c = 0; c < form.block / 32; ++c, x += 32) {
    const auto quads = block.template quads<way>(c);
    __m256i scale[2];
    scales_of(block, c, scale);
    if constexpr (way == Way::shifted)
      shift = _mm256_sub_epi32(shift, scaled_sum(quads, scale, [](size_t) { return splat(-128); }));
    in_fours(count, [&](uint32_t m) {
      const uint8_t* at = x + m * x_bytes;
      __m256i sum = scaled_sum(quads, scale, [&](size_t j) { return four_columns(at + 4 * j); });
      auto* to = reinterpret_cast<__m256i*>(sums[m]);
      if (c > 0) sum = _mm256_add_epi32(sum, _mm256_load_si256(to));
      _mm256_store_si256(to, sum);
    });
  }
  const Minima<form> minima(block);
  for (uint32_t m = 0; m < count; ++m) {
    const __m256i sum = _mm256_add_epi32(shift, _mm256_load_si256(reinterpret_cast<const __m256i*>(sums[m])));
    float* to = acc + size_t{m} * strip_rows;
    const uint8_t* of_row = job.x + m * job.x_bytes;
    _mm256_store_ps(to, add_block(block, minima.v, sum, of_row, row, k, _mm256_load_ps(to)));
  }
}

template <PackedForm form>
inline void multiply_block(const Job& job, uint32_t count, size_t k, const Activations& a, float* sums) {
  constexpr Way way = many_way(form);
  static_assert(way != Way::pairs && form.block == many_cols);
  for (size_t h = 0; h < 2; ++h) {
    const Block<form> block(job.strip, job.cols, 8 * h, k);
    if constexpr (way == Way::shifted) {
      add_block_to_many<form, way>(block, job, count, k, a.x[0], sizeof a.x[0], sums + 8 * h);
    } else {
      add_block_to_many<form, way>(block, job, count, k, job.x + k, job.x_bytes, sums + 8 * h);
    }
  }
}

}  // namespace
}  // namespace hearth::cpu
