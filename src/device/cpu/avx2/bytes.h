#pragma once

// Products of levels of eight bits with many activation rows as |l| · (x with the sign of l): two such
// products fit sixteen bits, four do not. Sums of two vectors of weight rows by a few activation rows stay in
// registers, so that an activation is loaded once for both. The other way for these levels is Way::pairs
// (many.h), to the same integers; which is faster depends on the processor.
#include "device/cpu/avx2/job.h"

namespace hearth::cpu {
namespace {

constexpr uint32_t tile_rows = 3;  // of activations: six sums, with what they need, fit sixteen registers

// 32 columns of a strip: quad j of either half.
template <PackedForm form>
struct SignedLevels {
  __m256i level[8][2], magnitude[8][2];

  explicit SignedLevels(const uint8_t* levels) {
    for (size_t h = 0; h < 2; ++h) {
      const Quads<form, Way::signs> quads(levels, 32 * h);
      for (size_t j = 0; j < 8; ++j) {
        level[j][h] = quads.q[j];
        magnitude[j][h] = quads.magnitude[j];
      }
    }
  }
};

// acc[m · strip_rows …] += … for n activation rows, of which `x` is the first one's integers from column k
// on.
template <PackedForm form, uint32_t n>
inline void add_tile(const SignedLevels<form>& levels, const ColumnScales (&s)[2], const Job& job, size_t k,
                     const uint8_t* x, float* acc) {
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i sums[n][2];
  for (auto& both : sums) both[0] = both[1] = _mm256_setzero_si256();
  for (size_t j = 0; j < 8; ++j) {
    for (uint32_t m = 0; m < n; ++m) {
      const __m256i four = four_columns(x + m * job.x_bytes + 4 * j);
      for (size_t h = 0; h < 2; ++h) {
        const __m256i with_sign = _mm256_sign_epi8(four, levels.level[j][h]);
        const __m256i two = _mm256_maddubs_epi16(levels.magnitude[j][h], with_sign);
        sums[m][h] = _mm256_add_epi32(sums[m][h], _mm256_madd_epi16(two, ones));
      }
    }
  }
  for (uint32_t m = 0; m < n; ++m) {
    for (size_t h = 0; h < 2; ++h) {
      float* to = acc + m * strip_rows + 8 * h;
      const Sums<form> sum{{sums[m][h]}};
      const uint8_t* row = x - k + m * job.x_bytes;
      _mm256_store_ps(to, add_columns<form>(sum, s[h], row, integer_row(job.cols), k, _mm256_load_ps(to)));
    }
  }
}

// Columns [first, last) of a strip with `count` activation rows: sums[m · strip_rows …] += ….
template <PackedForm form>
inline void multiply_tiles(const Job& job, uint32_t count, size_t first, size_t last, float* sums) {
  StripScales<form> upper(job.strip, job.cols, 0, first), lower(job.strip, job.cols, 8, first);
  const uint8_t* levels = job.strip + first / 32 * level_bytes(form.levels);
  for (size_t k = first; k < last; k += 32, levels += level_bytes(form.levels)) {
    if (k % form.block == 0) {
      upper.next_block();
      lower.next_block();
    }
    ColumnScales s[2];
    upper.next_columns(s[0]);
    lower.next_columns(s[1]);
    const SignedLevels<form> tile(levels);
    const uint8_t* x = job.x + k;
    float* acc = sums;
    uint32_t left = count;
    for (; left >= tile_rows; left -= tile_rows, x += tile_rows * job.x_bytes, acc += tile_rows * strip_rows)
      add_tile<form, tile_rows>(tile, s, job, k, x, acc);
    for (; left > 0; --left, x += job.x_bytes, acc += strip_rows) add_tile<form, 1>(tile, s, job, k, x, acc);
  }
}

}  // namespace
}  // namespace hearth::cpu
