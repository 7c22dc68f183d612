#pragma once

// Products with up to seven activation rows, as generation has them: bound by memory, so that what the next
// strip begins with is asked for on the way, and memory is read as one stream.
#include "device/cpu/avx2/tile.h"

namespace hearth::cpu {
namespace {

// What the bias takes off the sums.
template <PackedForm form>
inline void take_bias(Sums<form>& sums, const uint8_t* x, IntegerRow row, size_t k) {
  if constexpr (form.bias == 0 || form.bias == 128) return;
  const uint8_t* parts = x + (form.group == 32 ? row.int_sum32 + k / 8 : row.int_sum16 + k / 4);
  for (size_t g = 0; g < sums_of(form); ++g) {
    const __m256i sum = _mm256_slli_epi32(_mm256_set1_epi32(at<int32_t>(parts + 4 * g)), log2_of(form.bias));
    sums.v[g] = _mm256_add_epi32(sums.v[g], sum);
  }
}

// Bytes of a strip per 32 columns, rounded up.
constexpr size_t column_bytes(const PackedForm& f) {
  return level_bytes(f.levels) + 32 / f.group * group_scale_bytes(f.scales) +
         (32 * block_scale_bytes(f.scales) + f.block - 1) / f.block;
}

// The strip that comes next, and whether it is asked for.
struct Ahead {
  const uint8_t* strip;
  bool wanted;

  template <PackedForm form>
  void next_columns() {
    if (!wanted) return;
    ask_for(strip, column_bytes(form));
    strip += column_bytes(form);
  }
};

template <uint32_t n>
struct RowSums {
  __m256 v[2][n];

  RowSums() {
    for (auto& half : v) {
      for (__m256& sum : half) sum = _mm256_setzero_ps();
    }
  }
  void store(const Job& job) const {
    for (size_t m = 0; m < n; ++m) {
      float* y = job.y + m * job.y_stride;
      put(v[0][m], job.rows, y);
      if (job.rows > 8) put(v[1][m], job.rows - 8, y + 8);
    }
  }
};

// Both halves of a strip with a row, where 32 columns have scales of their own.
template <PackedForm form>
void multiply_row_columns(const Job& job, Ahead ahead) {
  const IntegerRow row = integer_row(job.cols);
  StripScales<form> upper(job.strip, job.cols, 0, 0), lower(job.strip, job.cols, 8, 0);
  RowSums<1> acc;
  const uint8_t* levels = job.strip;
  for (size_t k = 0; k < job.cols; k += 32, levels += level_bytes(form.levels)) {
    ahead.next_columns<form>();
    const auto half = [&](StripScales<form>& scales, size_t h) {
      if (k % form.block == 0) scales.next_block();
      const Quads<form, few_way(form)> quads(levels, 32 * h);
      ColumnScales s;
      scales.next_columns(s);
      Sums<form> sums = level_sums(quads, [&](size_t j) { return four_columns(job.x + k + 4 * j); });
      take_bias<form>(sums, job.x, row, k);
      acc.v[h][0] = add_columns<form>(sums, s, job.x, row, k, acc.v[h][0]);
    };
    half(upper, 0);
    half(lower, 1);
  }
  acc.store(job);
}

// The same with n rows, as a tile.
template <PackedForm form, uint32_t n>
void multiply_tile_columns(const Job& job, Ahead ahead) {
  constexpr Way way = few_way(form);
  const IntegerRow row = integer_row(job.cols);
  TileScales<form> scales(job, 0);
  RowSums<n> acc;
  const uint8_t* levels = job.strip;
  for (size_t k = 0; k < job.cols; k += 32, levels += level_bytes(form.levels)) {
    ahead.next_columns<form>();
    scales.next_columns(k);
    const TileLevels<form, way> tile(levels);
    TileSums<form, n> integers;
    multiply_tile<form, way, n>(tile, ones(), job.x + k, job.x_bytes, integers);
    for (size_t m = 0; m < n; ++m) {
      const uint8_t* x = job.x + m * job.x_bytes;
      for (size_t h = 0; h < 2; ++h) {
        Sums<form> sums = sums_of_tile<form>(integers.v[m][h]);
        take_bias<form>(sums, x, row, k);
        acc.v[h][m] = add_columns<form>(sums, scales.of[h], x, row, k, acc.v[h][m]);
      }
    }
  }
  acc.store(job);
}

// Σ scale · level · x of the 32 columns with this number. x(j): the four bytes of quad j in each lane.
template <PackedForm form, Way way, class X>
inline __m256i scaled_sum(const Quads<form, way>& quads, const __m256i* scale, X x) {
  if constexpr (form.group == 32) return quads.template sum<8>(0, x, scale[0]);
  return _mm256_add_epi32(quads.template sum<4>(0, x, scale[0]), quads.template sum<4>(4, x, scale[1]));
}

// Both halves of a strip with a row, where blocks are summed as integers.
template <PackedForm form>
void multiply_row_blocks(const Job& job, Ahead ahead) {
  constexpr Way way = few_way(form);
  const IntegerRow row = integer_row(job.cols);
  RowSums<1> acc;
  for (size_t k = 0; k < job.cols; k += form.block) {
    for (size_t h = 0; h < 2; ++h) {
      const Block<form> block(job.strip, job.cols, 8 * h, k);
      __m256i sum = _mm256_setzero_si256();
      for (size_t c = 0; c < form.block / 32; ++c) {
        if (h == 0) ahead.next_columns<form>();
        const auto quads = block.template quads<way>(c);
        __m256i scale[2];
        scales_of(block, c, scale);
        const auto four = [&](size_t j) { return four_columns(job.x + k + 32 * c + 4 * j); };
        sum = _mm256_add_epi32(sum, scaled_sum(quads, scale, four));
        if constexpr (way == Way::levels && form.bias != 0)
          sum = _mm256_add_epi32(sum, bias_sum<form>(scale, job.x, row, k + 32 * c));
      }
      const Minima<form> minima(block);
      acc.v[h][0] = add_block(block, minima.v, sum, job.x, row, k, acc.v[h][0]);
    }
  }
  acc.store(job);
}

// The same with n rows, as a tile.
template <PackedForm form, uint32_t n>
void multiply_tile_blocks(const Job& job, Ahead ahead) {
  constexpr Way way = few_way(form);
  const IntegerRow row = integer_row(job.cols);
  RowSums<n> acc;
  for (size_t k = 0; k < job.cols; k += form.block) {
    const Block<form> block[2] = {{job.strip, job.cols, 0, k}, {job.strip, job.cols, 8, k}};
    __m256i sum[n][2];
    for (auto& both : sum) both[0] = both[1] = _mm256_setzero_si256();
    for (size_t c = 0; c < form.block / 32; ++c) {
      ahead.next_columns<form>();
      Factors factors;
      for (size_t h = 0; h < 2; ++h) scales_of(block[h], c, factors.of[h]);
      const TileLevels<form, way> levels(block[0].levels + c * level_bytes(form.levels));
      TileSums<form, n> tile;
      multiply_tile<form, way, n>(levels, factors, job.x + k + 32 * c, job.x_bytes, tile);
      for (size_t m = 0; m < n; ++m) {
        for (size_t h = 0; h < 2; ++h) {
          sum[m][h] = _mm256_add_epi32(sum[m][h], tile.v[m][h][0]);
          if constexpr (way == Way::levels && form.bias != 0)
            sum[m][h] = _mm256_add_epi32(
                sum[m][h], bias_sum<form>(factors.of[h], job.x + m * job.x_bytes, row, k + 32 * c));
        }
      }
    }
    for (size_t h = 0; h < 2; ++h) {
      const Minima<form> minima(block[h]);
      for (size_t m = 0; m < n; ++m)
        acc.v[h][m] = add_block(block[h], minima.v, sum[m][h], job.x + m * job.x_bytes, row, k, acc.v[h][m]);
    }
  }
  acc.store(job);
}

template <PackedForm form, uint32_t n>
inline void multiply_rows(Job& job, Ahead ahead) {
  if constexpr (sums_blocks(form)) {
    if constexpr (n == 1) {
      multiply_row_blocks<form>(job, ahead);
    } else {
      multiply_tile_blocks<form, n>(job, ahead);
    }
  } else if constexpr (n == 1) {
    multiply_row_columns<form>(job, ahead);
  } else {
    multiply_tile_columns<form, n>(job, ahead);
  }
  job.x += n * job.x_bytes;
  job.y += n * job.y_stride;
}

// A strip of `bytes`, which the next one follows, with up to seven rows.
template <PackedForm form>
inline void multiply_few(Job& job, uint32_t count, size_t bytes) {
  Ahead ahead = {job.strip + bytes, true};
  if (count >= tile_rows) {
    multiply_rows<form, tile_rows>(job, ahead);
    ahead.wanted = false;
    count -= tile_rows;
  }
  if (count == 3) multiply_rows<form, 3>(job, ahead);
  if (count == 2) multiply_rows<form, 2>(job, ahead);
  if (count == 1) multiply_rows<form, 1>(job, ahead);
}

}  // namespace
}  // namespace hearth::cpu
