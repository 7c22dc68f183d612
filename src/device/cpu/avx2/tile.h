#pragma once

// Products of a strip's sixteen rows with many activation rows, in tiles: sums of two vectors of weight rows
// by four activation rows stay in registers, so that an activation is loaded once for both vectors and a
// level once for all four rows.
#include "device/cpu/avx2/blocks.h"

namespace hearth::cpu {
namespace {

constexpr uint32_t tile_rows = 4;  // of activations: eight sums, with what they need, fit sixteen registers

// sum + v, now. GCC 12 reorders sums of integers, for which it computes all products first and puts them into
// memory.
inline __m256i add_short(__m256i sum, __m256i v) {
  sum = _mm256_add_epi16(sum, v);
  __asm__("" : "+x"(sum));
  return sum;
}
inline __m256i add_int(__m256i sum, __m256i v) {
  sum = _mm256_add_epi32(sum, v);
  __asm__("" : "+x"(sum));
  return sum;
}

// Where `v` lies in memory. GCC 12 keeps some of an array in registers, which tiles need for their sums.
template <class T>
inline const T* from_memory(const T& v) {
  const T* p = &v;
  __asm__("" : "+r"(p) : "m"(v));
  return p;
}

// 32 columns of a strip: quad j of either half.
template <PackedForm form, Way way>
struct TileLevels {
  __m256i level[8][2], sign[needs_sign(way) ? 8 : 1][2];

  explicit TileLevels(const uint8_t* levels) {
    for (size_t h = 0; h < 2; ++h) {
      const Quads<form, way> quads(levels, 32 * h);
      for (size_t j = 0; j < 8; ++j) {
        level[j][h] = quads.q[j];
        if constexpr (needs_sign(way)) sign[j][h] = quads.sign[j];
      }
    }
  }
  __m256i product(size_t j, size_t h, __m256i x) const {
    return product_of<way>(level[j][h], sign[needs_sign(way) ? j : 0][h], x);
  }
};

// The scales of both halves of a strip as they come by, from column `first` on, where a block begins.
template <PackedForm form>
struct TileScales {
  StripScales<form> half[2];
  ColumnScales of[2];

  TileScales(const Job& job, size_t first)
      : half{{job.strip, job.cols, 0, first}, {job.strip, job.cols, 8, first}} {}
  void next_columns(size_t k) {
    for (size_t h = 0; h < 2; ++h) {
      if (k % form.block == 0) half[h].next_block();
      half[h].next_columns(of[h]);
    }
  }
};

// Vectors of sums that 32 columns of eight rows give: one where the factors of groups are multiplied first.
constexpr uint32_t tile_sums(const PackedForm& f) { return sums_blocks(f) ? 1 : sums_of(f); }

// What sums of sixteen bits are multiplied with on their way to 32: per half of the strip and group.
struct Factors {
  __m256i of[2][2];
};
inline Factors ones() {
  const __m256i one = _mm256_set1_epi16(1);
  return {{{one, one}, {one, one}}};
}
template <PackedForm form, uint32_t n>
struct TileSums {
  __m256i v[n][2][tile_sums(form)];
};
// A row's half, of a form whose groups have sums of their own.
template <PackedForm form>
inline Sums<form> sums_of_tile(const __m256i (&v)[tile_sums(form)]) {
  Sums<form> sums;
  for (size_t g = 0; g < tile_sums(form); ++g) sums.v[g] = v[g];
  return sums;
}

// Σ factor · level · x over 32 columns for n activation rows, whose integers lie `x_bytes` apart from `x` on.
template <PackedForm form, Way way, uint32_t n>
inline void multiply_tile(const TileLevels<form, way>& levels, const Factors& factors, const uint8_t* x,
                          size_t x_bytes, TileSums<form, n>& sums) {
  constexpr uint32_t quads = form.group / 4;
  constexpr uint32_t together = fitting(form, way) < quads ? fitting(form, way) : quads;
  const auto* in = from_memory(levels);
  // Rows whose sums of sixteen bits grow side by side: all, or one where these are short.
  constexpr uint32_t abreast = together > 2 ? n : 1;
#pragma GCC unroll 8
  for (size_t j = 0; j < 8; j += together) {
#pragma GCC unroll 4
    for (uint32_t first = 0; first < n; first += abreast) {
      __m256i part[abreast][2];
#pragma GCC unroll 8
      for (size_t i = 0; i < together; ++i) {
#pragma GCC unroll 4
        for (uint32_t m = 0; m < abreast; ++m) {
          const __m256i four = four_columns(x + (first + m) * x_bytes + 4 * (j + i));
#pragma GCC unroll 2
          for (size_t h = 0; h < 2; ++h) {
            const __m256i product = in->product(j + i, h, four);
            part[m][h] = i == 0 ? product : add_short(part[m][h], product);
          }
        }
      }
#pragma GCC unroll 4
      for (uint32_t m = 0; m < abreast; ++m) {
#pragma GCC unroll 2
        for (size_t h = 0; h < 2; ++h) {
          __m256i& sum = sums.v[first + m][h][j / quads % tile_sums(form)];
          const __m256i wide = _mm256_madd_epi16(part[m][h], factors.of[h][j / quads]);
          sum = j % (tile_sums(form) == 1 ? 8 : quads) == 0 ? wide : add_int(sum, wide);
        }
      }
    }
  }
}

// body<n>(m): n rows from m on, tile_rows of them at a time as long as there are as many.
template <class Body>
inline void in_tiles(uint32_t count, Body body) {
  uint32_t m = 0;
  for (; m + tile_rows <= count; m += tile_rows) body.template operator()<tile_rows>(m);
  for (; m < count; ++m) body.template operator()<1>(m);
}

// What products of a way have too much, which is what they make of activations that are 0, below zero.
template <PackedForm form, Way way>
inline TileSums<form, 1> shift_of(const TileLevels<form, way>& levels, const Factors& factors) {
  alignas(32) uint8_t zeros[32];
  _mm256_store_si256(reinterpret_cast<__m256i*>(zeros), splat(way == Way::shifted ? -128 : 0));
  TileSums<form, 1> shift;
  multiply_tile<form, way, 1>(levels, factors, zeros, 0, shift);
  for (auto& half : shift.v[0]) {
    for (__m256i& v : half) v = _mm256_sub_epi32(_mm256_setzero_si256(), v);
  }
  return shift;
}

}  // namespace
}  // namespace hearth::cpu
