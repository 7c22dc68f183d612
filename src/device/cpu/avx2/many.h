#pragma once

// Products with many activation rows, as prompts have them: 32 columns of a strip are unpacked once and meet
// all rows of a block, tile by tile. The sums lie in the first-level cache, and so do the activations of a
// few hundred columns, which several strips meet.
#include "device/cpu/avx2/tile.h"

namespace hearth::cpu {
namespace {

constexpr uint32_t many_rows = 32, many_strips = 4, many_cols = 256;

// Integers of a block of rows and columns, plus 128.
struct Activations {
  alignas(32) uint8_t x[many_rows][many_cols];
};

inline void shift_up(const Job& job, uint32_t count, size_t first, size_t last, Activations& a) {
  for (uint32_t m = 0; m < count; ++m) {
    const uint8_t* x = job.x + m * job.x_bytes + first;
    for (size_t k = 0; k < last - first; k += 32)
      _mm256_store_si256(reinterpret_cast<__m256i*>(a.x[m] + k), _mm256_xor_si256(load(x + k), splat(-128)));
  }
}

// Integers of activation rows, `bytes` apart, and the levels that are wanted next.
struct Rows {
  const uint8_t* x;
  size_t bytes;
  const uint8_t* ahead;

  template <PackedForm form>
  void next_columns() {
    ask_for(ahead, level_bytes(form.levels));
    ahead += level_bytes(form.levels);
    x += 32;
  }
};

// Columns [first, last) of a strip, where 32 columns have scales of their own: sums[m · strip_rows …] += ….
template <PackedForm form, Way way>
inline void multiply_columns(const Job& job, uint32_t count, size_t first, size_t last, Rows rows,
                             float* sums) {
  const IntegerRow row = integer_row(job.cols);
  TileScales<form> scales(job, first);
  const uint8_t* strip = job.strip + first / 32 * level_bytes(form.levels);
  for (size_t k = first; k < last; k += 32, strip += level_bytes(form.levels), rows.next_columns<form>()) {
    scales.next_columns(k);
    const TileLevels<form, way> levels(strip);
    [[maybe_unused]] TileSums<form, 1> shift;
    if constexpr (needs_shift(way)) shift = shift_of(levels, ones());
    in_tiles(count, [&]<uint32_t n>(uint32_t m) {
      TileSums<form, n> tile;
      multiply_tile<form, way, n>(levels, ones(), rows.x + m * rows.bytes, rows.bytes, tile);
      const auto& scale = *from_memory(scales.of);
      for (uint32_t i = 0; i < n; ++i) {
        for (size_t h = 0; h < 2; ++h) {
          Sums<form> sum = sums_of_tile<form>(tile.v[i][h]);
          for (size_t g = 0; needs_shift(way) && g < sums_of(form); ++g)
            sum.v[g] = _mm256_add_epi32(sum.v[g], shift.v[0][h][g]);
          float* to = sums + (m + i) * strip_rows + 8 * h;
          const uint8_t* x = job.x + (m + i) * job.x_bytes;
          _mm256_store_ps(to, add_columns<form>(sum, scale[h], x, row, k, _mm256_load_ps(to)));
        }
      }
    });
  }
}

// The block at column k of a strip, which is summed as integers: sums[m · strip_rows …] += ….
template <PackedForm form, Way way>
inline void multiply_block(const Job& job, uint32_t count, size_t k, Rows rows, float* sums) {
  static_assert(form.block == many_cols);
  const IntegerRow row = integer_row(job.cols);
  const Block<form> block[2] = {{job.strip, job.cols, 0, k}, {job.strip, job.cols, 8, k}};
  __m256i integers[many_rows][2];
  for (uint32_t m = 0; m < count; ++m) integers[m][0] = integers[m][1] = _mm256_setzero_si256();
  __m256i shift[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
  const uint8_t* strip = block[0].levels;
  for (size_t c = 0; c < form.block / 32; ++c, strip += level_bytes(form.levels), rows.next_columns<form>()) {
    Factors factors;
    for (size_t h = 0; h < 2; ++h) scales_of(block[h], c, factors.of[h]);
    const TileLevels<form, way> levels(strip);
    if constexpr (needs_shift(way)) {
      const TileSums<form, 1> more = shift_of(levels, factors);
      for (size_t h = 0; h < 2; ++h) shift[h] = _mm256_add_epi32(shift[h], more.v[0][h][0]);
    }
    in_tiles(count, [&]<uint32_t n>(uint32_t m) {
      TileSums<form, n> tile;
      multiply_tile<form, way, n>(levels, factors, rows.x + m * rows.bytes, rows.bytes, tile);
      for (uint32_t i = 0; i < n; ++i) {
        for (size_t h = 0; h < 2; ++h) {
          integers[m + i][h] = _mm256_add_epi32(integers[m + i][h], tile.v[i][h][0]);
        }
      }
    });
  }
  for (size_t h = 0; h < 2; ++h) {
    const Minima<form> minima(block[h]);
    for (uint32_t m = 0; m < count; ++m) {
      float* to = sums + size_t{m} * strip_rows + 8 * h;
      const __m256i sum = _mm256_add_epi32(shift[h], integers[m][h]);
      _mm256_store_ps(
          to, add_block(block[h], minima.v, sum, job.x + m * job.x_bytes, row, k, _mm256_load_ps(to)));
    }
  }
}

// Up to 64 weight rows with up to 32 activation rows.
template <PackedForm form>
void multiply_many(Job job, uint32_t count) {
  constexpr Way way = many_way(form);
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
    if constexpr (way == Way::shifted) shift_up(job, count, k, end, a);
    for (uint32_t s = 0; s < strips; ++s) {
      job.strip = begin + s * bytes;
      const uint8_t* ahead =
          end < job.cols ? job.strip + end / 32 * level_bytes(form.levels) : job.strip + strips * bytes;
      const Rows rows =
          way == Way::shifted ? Rows{a.x[0], sizeof a.x[0], ahead} : Rows{job.x + k, job.x_bytes, ahead};
      if constexpr (sums_blocks(form)) {
        multiply_block<form, way>(job, count, k, rows, sums[s]);
      } else {
        multiply_columns<form, way>(job, count, k, end, rows, sums[s]);
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
