#pragma once

// Products of types with groups in blocks of 256 columns, where the activations have one scale per block: all
// of a block are sums of integers, and floats only where groups meet their scales.
//   Σ weight · x = x scale · (block scale · Σ scale · Σ level · x − offset scale · Σ offset · Σ x)
// with offset = minimum (affine types), or scale and bias.
#include "device/cpu/avx512vnni/multiply.h"

namespace hearth::cpu {
namespace {

// Scales and offsets of a strip's groups, as they come by.
template <PackedForm form>
struct BlockScales {
  const uint8_t *group, *block;

  BlockScales(const uint8_t* strip, size_t cols)
      : group(strip + group_scales_at(form, cols)), block(strip + block_scales_at(form, cols)) {}

  static __m128i bytes(const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }

  // Integer scales of group g of the block.
  __m512 scale(size_t g) const {
    const uint8_t* p = group + g * group_scale_bytes(form.scales);
    if constexpr (form.scales == Scales::grouped) return signed_bytes(p);
    if constexpr (form.scales == Scales::grouped_affine) return unsigned_bytes(p);
    return small_floats(_mm_and_si128(bytes(p), _mm_set1_epi8(15)));
  }
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
    return times<scale_factor(form.type) != 1.0F>(halves(block), scale_factor(form.type));
  }
  __m512 offset_scale() const {
    if constexpr (is_affine(form.scales))
      return times<minimum_factor(form.type) != 1.0F>(halves(block + 32), minimum_factor(form.type));
    return _mm512_mul_ps(block_scale(), _mm512_set1_ps(static_cast<float>(form.bias)));
  }
  void next_block() {
    group += form.block / form.group * group_scale_bytes(form.scales);
    block += block_scale_bytes(form.scales);
  }
};

// part[m] += scale · Σ level · x over a group of columns at `x`.
template <PackedForm form, uint32_t count>
inline void add_levels(const __m512i* q, const uint8_t* x, size_t x_bytes, __m512 scale,
                       __m512 (&part)[count]) {
  __m512i sum[count];
  for (__m512i& s : sum) s = _mm512_setzero_si512();
  for (size_t j = 0; j < form.group / 4; ++j) {
    for (size_t m = 0; m < count; ++m)
      sum[m] = _mm512_dpbusd_epi32(sum[m], q[j], four_columns(x + m * x_bytes + 4 * j));
  }
  for (size_t m = 0; m < count; ++m) part[m] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[m]), scale, part[m]);
}

// One strip with `count` activation rows.
template <PackedForm form, uint32_t count>
void multiply_blocks(const Job& job, size_t next) {
  const IntegerRow row = integer_row(job.cols);
  constexpr size_t groups = form.block / form.group;
  BlockScales<form> scales(job.strip, job.cols);
  Ahead ahead(job, next);
  // In memory, so that the registers are free for a block's sums.
  alignas(64) float acc[count][strip_rows];
  for (auto& a : acc) _mm512_store_ps(a, _mm512_setzero_ps());
  const uint8_t* levels = job.strip;
  for (size_t k = 0; k < job.cols; k += form.block, scales.next_block()) {
    __m512 part[count];
    for (__m512& p : part) p = _mm512_setzero_ps();
    for (size_t i = 0; i < form.block; i += 32, levels += level_bytes(form.levels)) {
      ahead.ask();
      __m512i q[8];
      load_levels<form.type, form.levels>(levels, q);
      for (size_t g = 0; g < 32 / form.group; ++g) {
        const uint8_t* x = job.x + k + i + g * form.group;
        add_levels<form, count>(q + g * form.group / 4, x, job.x_bytes, scales.scale(i / form.group + g),
                                part);
      }
    }
    __m512i taken[count];
    for (__m512i& t : taken) t = _mm512_setzero_si512();
    const size_t sums = form.group == 16 ? row.short_sum16 + k / 8 : row.short_sum32 + k / 16;
    for (size_t g = 0; g < groups; g += 2) {
      const __m512i offsets = scales.offsets(g);
      for (size_t m = 0; m < count; ++m)
        taken[m] =
            _mm512_dpwssd_epi32(taken[m], offsets, four_columns(job.x + m * job.x_bytes + sums + 2 * g));
    }
    const __m512 block_scale = scales.block_scale(), offset_scale = scales.offset_scale();
    for (size_t m = 0; m < count; ++m) {
      __m512 v = _mm512_mul_ps(part[m], block_scale);
      v = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(taken[m]), offset_scale, v);
      const __m512 x_scale = one_float(job.x + m * job.x_bytes + row.scale + k / 8);
      _mm512_store_ps(acc[m], _mm512_fmadd_ps(v, x_scale, _mm512_load_ps(acc[m])));
    }
  }
  for (size_t m = 0; m < count; ++m)
    _mm512_mask_storeu_ps(job.y + m * job.y_stride, real_rows(job), _mm512_load_ps(acc[m]));
}

}  // namespace
}  // namespace hearth::cpu
