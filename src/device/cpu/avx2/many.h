#pragma once

// Products with many activation rows, as prompts have them: levels stay in registers while all rows of a
// block pass by. The sums lie in the first-level cache, and so do the activations of a few hundred columns,
// which several strips meet.
#include "device/cpu/avx2/blocks.h"
#include "device/cpu/avx2/bytes.h"

namespace hearth::cpu {
namespace {

// 32 columns of eight rows with `count` activation rows: acc[m·16] += ….
template <PackedForm form, Way way>
inline void add_rows(const Quads<form, way>& quads, const ColumnScales& s, const Job& job, uint32_t count,
                     size_t k, const uint8_t* x, size_t x_bytes, float* acc) {
  const IntegerRow row = integer_row(job.cols);
  [[maybe_unused]] Sums<form> shift{};
  if constexpr (way == Way::shifted) {
    shift = level_sums(quads, [](size_t) { return splat(-128); });
    for (__m256i& v : shift.v) v = _mm256_sub_epi32(_mm256_setzero_si256(), v);
  }
  in_fours(count, [&](uint32_t m) {
    const uint8_t* at = x + m * x_bytes;
    Sums<form> sums = level_sums(quads, [&](size_t j) { return four_columns(at + 4 * j); });
    if constexpr (way == Way::shifted) {
      for (size_t g = 0; g < sums_of(form); ++g) sums.v[g] = _mm256_add_epi32(sums.v[g], shift.v[g]);
    }
    float* to = acc + size_t{m} * strip_rows;
    _mm256_store_ps(to, add_columns<form>(sums, s, job.x + m * job.x_bytes, row, k, _mm256_load_ps(to)));
  });
}

// Σ y·x as Winograd found it: (x0 + y1)·(x1 + y0) = x0·y0 + x1·y1 + x0·x1 + y0·y1, where the last two belong
// to one side each. Additions are cheaper than half of the products.
template <PackedForm form>
inline void add_rows_in_pairs(const Quads<form, Way::pairs>& quads, const ColumnScales& s, const Job& job,
                              uint32_t count, size_t k, const Activations& a, size_t column, float* acc) {
  const IntegerRow row = integer_row(job.cols);
  __m256i even[8], odd[8], own = _mm256_setzero_si256();
  for (size_t j = 0; j < 8; ++j) {
    even[j] = _mm256_srai_epi16(_mm256_slli_epi16(quads.q[j], 8), 8);
    odd[j] = _mm256_srai_epi16(quads.q[j], 8);
    own = _mm256_sub_epi32(own, _mm256_madd_epi16(even[j], odd[j]));
  }
  alignas(32) int32_t half_sums[many_rows][8];
  const auto four = [&](size_t j, const uint8_t* x, __m256i sum) {
    for (size_t i = j; i < j + 4; ++i) {
      const __m256i first = _mm256_add_epi16(odd[i], four_columns(x + 8 * i));
      const __m256i second = _mm256_add_epi16(even[i], four_columns(x + 8 * i + 4));
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(first, second));
    }
    return sum;
  };
  in_fours(count, [&](uint32_t m) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(half_sums[m]), four(0, a.x[m] + 2 * column, own));
  });
  in_fours(count, [&](uint32_t m) {
    const __m256i sum = _mm256_add_epi32(_mm256_load_si256(reinterpret_cast<const __m256i*>(half_sums[m])),
                                         _mm256_set1_epi32(a.product[m][column / 32]));
    const Sums<form> sums{{four(4, a.x[m] + 2 * column, sum)}};
    float* to = acc + size_t{m} * strip_rows;
    _mm256_store_ps(to, add_columns<form>(sums, s, job.x + m * job.x_bytes, row, k, _mm256_load_ps(to)));
  });
}

template <PackedForm form>
inline void multiply_columns(const Job& job, uint32_t count, size_t first, size_t last, const Activations& a,
                             float* sums) {
  constexpr Way way = many_way(form);
  for (size_t h = 0; h < 2; ++h) {
    StripScales<form> scales(job.strip, job.cols, 8 * h, first);
    const uint8_t* levels = job.strip + first / 32 * level_bytes(form.levels);
    for (size_t k = first; k < last; k += 32, levels += level_bytes(form.levels)) {
      if (k % form.block == 0) scales.next_block();
      const Quads<form, way> quads(levels, 32 * h);
      ColumnScales s;
      scales.next_columns(s);
      if constexpr (way == Way::pairs) {
        add_rows_in_pairs<form>(quads, s, job, count, k, a, k - first, sums + 8 * h);
      } else if constexpr (way == Way::shifted) {
        add_rows<form, way>(quads, s, job, count, k, a.x[0] + (k - first), sizeof a.x[0], sums + 8 * h);
      } else {
        add_rows<form, way>(quads, s, job, count, k, job.x + k, job.x_bytes, sums + 8 * h);
      }
    }
  }
}

// Up to 64 weight rows with up to 32 activation rows, in many_way() or the other one that the form allows.
template <PackedForm form, Way way>
void multiply_many(Job job, uint32_t count) {
  alignas(32) float sums[many_strips][many_rows * strip_rows];
  Activations a;
  const uint32_t strips = (job.rows + strip_rows - 1) / strip_rows;
  const size_t bytes = strip_bytes(form, job.cols);
  for (uint32_t s = 0; s < strips; ++s) {
    for (uint32_t i = 0; i < count * strip_rows; i += 8) _mm256_store_ps(sums[s] + i, _mm256_setzero_ps());
  }
  const uint8_t* begin = job.strip;
  for (size_t k = 0; k < job.cols; k += many_cols) {
    const size_t end = k + many_cols < job.cols ? k + many_cols : job.cols;
    if constexpr (way == Way::shifted || way == Way::pairs) prepare<way>(job, count, k, end, a);
    for (uint32_t s = 0; s < strips; ++s) {
      job.strip = begin + s * bytes;
      if constexpr (sums_blocks(form)) {
        multiply_block<form>(job, count, k, a, sums[s]);
      } else if constexpr (way == Way::signs && fitting(form, way) == 1) {
        multiply_tiles<form>(job, count, k, end, sums[s]);
      } else {
        multiply_columns<form>(job, count, k, end, a, sums[s]);
      }
    }
  }
  for (uint32_t s = 0; s < strips; ++s) {
    const uint32_t rows = job.rows - s * strip_rows;
    for (uint32_t m = 0; m < count; ++m) {
      float* y = job.y + m * job.y_stride + s * strip_rows;
      put(_mm256_load_ps(sums[s] + m * strip_rows), rows, y);
      if (rows > 8) put(_mm256_load_ps(sums[s] + m * strip_rows + 8), rows - 8, y + 8);
    }
  }
}

}  // namespace
}  // namespace hearth::cpu
