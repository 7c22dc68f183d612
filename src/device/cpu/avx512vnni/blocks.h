#pragma once

// Products of types with groups in blocks of 256 columns, where the activations have one scale per block: all
// of a block are sums of integers, and floats at most where groups meet their scales.
//   Σ weight · x = x scale · (block scale · Σ scale · Σ level · x − offset scale · Σ offset · Σ x)
// with offset = minimum (affine types), or scale and bias.
#include "device/cpu/avx512vnni/multiply.h"

namespace hearth::cpu {
namespace {

// A block of a strip: levels, integer scales and offsets of its groups, scales of the whole.
template <PackedForm form>
struct Block {
  const uint8_t *levels, *group, *scales;

  Block(const uint8_t* strip, size_t cols, size_t k)
      : levels(strip + k / 32 * level_bytes(form.levels)),
        group(strip + group_scales_at(form, cols) + k / form.group * group_scale_bytes(form.scales)),
        scales(strip + block_scales_at(form, cols) + k / form.block * block_scale_bytes(form.scales)) {}

  static __m128i bytes(const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }

  void quads(size_t columns, __m512i (&q)[8]) const {  // of the 32 columns with this number
    load_levels<form.type, form.levels>(levels + columns * level_bytes(form.levels), q);
  }
  // Of a group, a byte for each row.
  __m128i scale_bytes(size_t g) const {
    const __m128i of_rows = bytes(group + g * group_scale_bytes(form.scales));
    return form.scales == Scales::grouped_nibbles ? _mm_and_si128(of_rows, _mm_set1_epi8(15)) : of_rows;
  }
  __m512i whole_scale(size_t g) const {
    if constexpr (form.scales == Scales::grouped) return _mm512_cvtepi8_epi32(scale_bytes(g));
    return _mm512_cvtepu8_epi32(scale_bytes(g));
  }
  __m512 scale(size_t g) const { return _mm512_cvtepi32_ps(whole_scale(g)); }
  // Offsets of the groups g and g + 1, side by side in the halves of a lane.
  __m512i offsets(size_t g) const {
    const uint8_t* p = group + g * group_scale_bytes(form.scales);
    constexpr size_t to_minima = form.scales == Scales::grouped_affine ? strip_rows : 0;
    __m128i first = bytes(p + to_minima), second = bytes(p + group_scale_bytes(form.scales) + to_minima);
    if constexpr (form.scales == Scales::grouped_nibbles) {
      const __m128i mask = _mm_set1_epi8(15);
      first = _mm_and_si128(_mm_srli_epi16(first, 4), mask);
      second = _mm_and_si128(_mm_srli_epi16(second, 4), mask);
    }
    const __m256i both = _mm256_set_m128i(_mm_unpackhi_epi8(first, second), _mm_unpacklo_epi8(first, second));
    return form.scales == Scales::grouped ? _mm512_cvtepi8_epi16(both) : _mm512_cvtepu8_epi16(both);
  }
  __m512 block_scale() const {
    return times<scale_factor(form.type) != 1.0F>(halves(scales), scale_factor(form.type));
  }
  __m512 offset_scale() const {
    if constexpr (is_affine(form.scales))
      return times<minimum_factor(form.type) != 1.0F>(halves(scales + 32), minimum_factor(form.type));
    return _mm512_mul_ps(block_scale(), _mm512_set1_ps(static_cast<float>(form.bias)));
  }
};

// The same, unpacked once for many activation rows; 5 to 6 KiB of the first-level cache.
template <PackedForm form>
struct OpenBlock {
  static constexpr size_t groups = form.block / form.group;
  __m512i level[form.block / 4];
  __m512 group_scale[groups];
  __m512i offset[groups / 2];
  __m512 of_block, of_offsets;

  void open(const Block<form>& block) {
    for (size_t c = 0; c < form.block / 32; ++c) {
      __m512i q[8];
      block.quads(c, q);
      for (size_t j = 0; j < 8; ++j) level[8 * c + j] = q[j];
    }
    for (size_t g = 0; g < groups; ++g) group_scale[g] = block.scale(g);
    for (size_t g = 0; g < groups; g += 2) offset[g / 2] = block.offsets(g);
    of_block = block.block_scale();
    of_offsets = block.offset_scale();
  }
  void quads(size_t columns, __m512i (&q)[8]) const {
    for (size_t j = 0; j < 8; ++j) q[j] = level[8 * columns + j];
  }
  __m512 scale(size_t g) const { return group_scale[g]; }
  __m512i offsets(size_t g) const { return offset[g / 2]; }
  __m512 block_scale() const { return of_block; }
  __m512 offset_scale() const { return of_offsets; }
};

// How the sums of groups meet their scales: as floats, or as whole numbers, which is exact in any order.
struct FloatSums {
  using Part = __m512;
  static Part none() { return _mm512_setzero_ps(); }
  template <class AnyBlock>
  static __m512 scale(const AnyBlock& block, size_t g) {
    return block.scale(g);
  }
  static Part add(Part part, __m512i sum, __m512 scale) {
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scale, part);
  }
  static __m512 total(Part part) { return part; }
};
struct WholeSums {
  using Part = __m512i;
  static Part none() { return _mm512_setzero_si512(); }
  template <class AnyBlock>
  static __m512i scale(const AnyBlock& block, size_t g) {
    return block.whole_scale(g);
  }
  static Part add(Part part, __m512i sum, __m512i scale) {
    return _mm512_add_epi32(part, _mm512_mullo_epi32(sum, scale));
  }
  static __m512 total(Part part) { return _mm512_cvtepi32_ps(part); }
};

// part[m] += scale · Σ level · x over a group of columns at `x`.
template <PackedForm form, uint32_t count, class Sums, class Scale>
inline void add_levels(const __m512i* q, const uint8_t* x, size_t x_bytes, Scale scale,
                       typename Sums::Part (&part)[count]) {
  __m512i sum[count];
  for (__m512i& s : sum) s = _mm512_setzero_si512();
  for (size_t j = 0; j < form.group / 4; ++j) {
    for (size_t m = 0; m < count; ++m)
      sum[m] = _mm512_dpbusd_epi32(sum[m], q[j], four_columns(x + m * x_bytes + 4 * j));
  }
  for (size_t m = 0; m < count; ++m) part[m] = Sums::add(part[m], sum[m], scale);
}

// Where an activation row has the sums of the groups from column k on.
template <PackedForm form>
inline size_t short_sums_at(IntegerRow row, size_t k) {
  return form.group == 16 ? row.short_sum16 + k / 8 : row.short_sum32 + k / 16;
}

// What becomes of a block's sums.
template <PackedForm form>
struct BlockEnd {
  __m512 of_block, of_offsets;

  template <class AnyBlock>
  explicit BlockEnd(const AnyBlock& block)
      : of_block(block.block_scale()), of_offsets(block.offset_scale()) {}

  void add(__m512 sum, __m512i offsets, __m512 x_scale, float* acc) const {
    __m512 v = _mm512_mul_ps(sum, of_block);
    v = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(offsets), of_offsets, v);
    _mm512_store_ps(acc, _mm512_fmadd_ps(v, x_scale, _mm512_load_ps(acc)));
  }
};

// acc[m·16] += the block at column k with `count` activation rows. `each` is called for every 32 columns.
template <PackedForm form, uint32_t count, class Sums, class AnyBlock, class Each>
inline void add_block(const AnyBlock& block, const uint8_t* x, size_t x_bytes, IntegerRow row, size_t k,
                      float* acc, Each each) {
  constexpr size_t groups = form.block / form.group, per_columns = 32 / form.group;
  typename Sums::Part part[count];
  for (auto& p : part) p = Sums::none();
  for (size_t c = 0; c < form.block / 32; ++c) {
    each();
    __m512i q[8];
    block.quads(c, q);
    for (size_t g = 0; g < per_columns; ++g) {
      const uint8_t* at = x + k + 32 * c + g * form.group;
      add_levels<form, count, Sums>(q + g * form.group / 4, at, x_bytes,
                                    Sums::scale(block, c * per_columns + g), part);
    }
  }
  __m512i taken[count];
  for (__m512i& t : taken) t = _mm512_setzero_si512();
  const uint8_t* sums = x + short_sums_at<form>(row, k);
  for (size_t g = 0; g < groups; g += 2) {
    const __m512i offsets = block.offsets(g);
    for (size_t m = 0; m < count; ++m)
      taken[m] = _mm512_dpwssd_epi32(taken[m], offsets, four_columns(sums + m * x_bytes + 2 * g));
  }
  const BlockEnd<form> end(block);
  for (size_t m = 0; m < count; ++m)
    end.add(Sums::total(part[m]), taken[m], one_float(x + m * x_bytes + row.scale + k / 8),
            acc + m * strip_rows);
}

// One strip with `count` activation rows.
template <PackedForm form, uint32_t count, class Sums = FloatSums>
void multiply_blocks(const Job& job, size_t next) {
  const IntegerRow row = integer_row(job.cols);
  Ahead ahead(job, next);
  // In memory, so that the registers are free for a block's sums.
  alignas(64) float acc[count * strip_rows];
  for (size_t m = 0; m < count; ++m) _mm512_store_ps(acc + m * strip_rows, _mm512_setzero_ps());
  for (size_t k = 0; k < job.cols; k += form.block)
    add_block<form, count, Sums>(Block<form>(job.strip, job.cols, k), job.x, job.x_bytes, row, k, acc,
                                 [&] { ahead.ask(); });
  for (size_t m = 0; m < count; ++m)
    _mm512_mask_storeu_ps(job.y + m * job.y_stride, real_rows(job), _mm512_load_ps(acc + m * strip_rows));
}

// Fewer rows are of generation: strips come from memory, as one stream.
constexpr uint32_t many_rows = 32, many_strips = 4;

// Up to 64 weight rows with up to 32 activation rows, in eights: what a block is unpacked to, the activations
// that it meets and their sums lie in the first-level cache.
template <PackedForm form>
void multiply_many(const Job& job, uint32_t count) {
  const IntegerRow row = integer_row(job.cols);
  alignas(64) float acc[many_strips][many_rows * strip_rows];
  OpenBlock<form> open;
  const uint32_t strips = (job.rows + strip_rows - 1) / strip_rows;
  const size_t bytes = strip_bytes(form, job.cols);
  for (uint32_t s = 0; s < strips; ++s) {
    for (uint32_t m = 0; m < count; ++m) _mm512_store_ps(acc[s] + m * strip_rows, _mm512_setzero_ps());
  }
  for (size_t k = 0; k < job.cols; k += form.block) {
    for (uint32_t s = 0; s < strips; ++s) {
      open.open(Block<form>(job.strip + s * bytes, job.cols, k));
      for (uint32_t m = 0; m < count; m += 8)
        add_block<form, 8, FloatSums>(open, job.x + m * job.x_bytes, job.x_bytes, row, k,
                                      acc[s] + m * strip_rows, [] {});
    }
  }
  for (uint32_t s = 0; s < strips; ++s) {
    const uint32_t rows = job.rows - s * strip_rows;
    const __mmask16 real = _cvtu32_mask16(rows >= strip_rows ? 0xffffU : (1U << rows) - 1U);
    for (uint32_t m = 0; m < count; ++m) {
      _mm512_mask_storeu_ps(job.y + m * job.y_stride + s * strip_rows, real,
                            _mm512_load_ps(acc[s] + m * strip_rows));
    }
  }
}

}  // namespace
}  // namespace hearth::cpu
