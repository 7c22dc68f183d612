#pragma once

// Products of strips with up to sixteen activation rows in tiles of bytes, for the types of blocks.h. There
// level · scale is a whole number of one or two digits, so that a block needs one or two tiles of sums,
// however many groups it has:
//   Σ scale · level · x = Σ low · x + base · Σ high · x
// Sums and their ends are those of multiply_blocks with WholeSums, to the bit: a row does not depend on how
// many there are.
#include "device/cpu/amx/config.h"
#include "device/cpu/avx512vnni/blocks.h"

namespace hearth::cpu {
namespace {

constexpr uint32_t block_cols = 256;

enum class Digits : uint32_t { one, eights, words };
// Q2_K: products below 256. Scales of six bits: two digits of base 8, of which none makes a level of five
// bits exceed eight. Others: signed products of sixteen bits, the low byte without sign and the high one with
// it.
constexpr Digits digits_of(const PackedForm& form) {
  return form.scales == Scales::grouped_nibbles  ? Digits::one
         : form.scales == Scales::grouped_affine ? Digits::eights
                                                 : Digits::words;
}
constexpr int log2_of_base(Digits digits) { return digits == Digits::eights ? 3 : 8; }

// Lines of memory that a block of a strip takes.
constexpr size_t lines_of_block(const PackedForm& form) {
  return (8 * level_bytes(form.levels) + block_cols / form.group * group_scale_bytes(form.scales) +
          block_scale_bytes(form.scales) + 63) /
         64;
}

// Asks for the next strip a few lines at a time, between other work: more at once wait for each other.
class Lines {
 public:
  explicit Lines(const uint8_t* at) : at_(at) {}
  template <size_t count>
  void ask() {
    for (size_t i = 0; i < count; ++i, at_ += 64)
      _mm_prefetch(reinterpret_cast<const char*>(at_), _MM_HINT_T1);
  }

 private:
  const uint8_t* at_;
};

// A block as right-hand tiles of 64 columns, and its sums.
struct DigitTiles {
  alignas(64) uint8_t low[block_cols * strip_rows], high[block_cols * strip_rows];
  alignas(64) int32_t low_sum[tile_rows * strip_rows], high_sum[tile_rows * strip_rows];
};

// Each row's byte in the first and third of its four.
inline __m512i even_bytes(__m128i bytes) {
  const __m512i first = _mm512_cvtepu8_epi32(bytes);
  return _mm512_or_si512(first, _mm512_slli_epi32(first, 16));
}

// The quads of a group times its scales. Products of two bytes at a time stay apart where each fits its byte.
template <PackedForm form>
inline void split(const __m512i* q, __m128i scales, uint8_t* low, uint8_t* high) {
  const __m512i even = even_bytes(scales);
  for (size_t j = 0; j < form.group / 4; ++j, low += 64, high += 64) {
    if constexpr (digits_of(form) == Digits::one) {
      _mm512_store_si512(low, _mm512_mullo_epi16(q[j], even));
    } else if constexpr (digits_of(form) == Digits::eights) {
      _mm512_store_si512(low, _mm512_mullo_epi16(q[j], _mm512_and_si512(even, _mm512_set1_epi16(7))));
      _mm512_store_si512(high, _mm512_mullo_epi16(q[j], _mm512_srli_epi16(even, 3)));
    } else {
      constexpr __mmask64 odd_bytes = 0xaaaaaaaaaaaaaaaaU;
      const __m512i evens = _mm512_maddubs_epi16(q[j], even);
      const __m512i odds = _mm512_maddubs_epi16(q[j], _mm512_slli_epi16(even, 8));
      _mm512_store_si512(low, _mm512_mask_blend_epi8(odd_bytes, evens, _mm512_slli_epi16(odds, 8)));
      _mm512_store_si512(high, _mm512_mask_blend_epi8(odd_bytes, _mm512_srli_epi16(evens, 8), odds));
    }
  }
}

template <PackedForm form>
inline void unpack(const Block<form>& block, DigitTiles& tiles, Lines& ahead) {
  constexpr size_t per_columns = 32 / form.group, bytes = size_t{form.group} * strip_rows;
  for (size_t c = 0; c < block_cols / 32; ++c) {
    __m512i q[8];
    block.quads(c, q);
    for (size_t g = 0; g < per_columns; ++g) {
      const size_t group = c * per_columns + g;
      split<form>(q + g * form.group / 4, block.scale_bytes(group), tiles.low + group * bytes,
                  tiles.high + group * bytes);
    }
    ahead.ask<(lines_of_block(form) + 15) / 16>();
  }
}

template <PackedForm form>
inline void sum(const uint8_t* x, size_t x_bytes, DigitTiles& tiles, Lines& ahead) {
  constexpr Digits digits = digits_of(form);
  _tile_zero(0);
  _tile_zero(1);
  for (size_t k = 0; k < block_cols; k += 64) {
    _tile_loadd(4, x + k, x_bytes);
    _tile_loadd(6, tiles.low + k * strip_rows, 64);
    _tile_dpbsud(0, 4, 6);
    if constexpr (digits != Digits::one) _tile_loadd(7, tiles.high + k * strip_rows, 64);
    if constexpr (digits == Digits::eights) _tile_dpbsud(1, 4, 7);
    if constexpr (digits == Digits::words) _tile_dpbssd(1, 4, 7);
    ahead.ask<(lines_of_block(form) + 7) / 8>();
  }
  _tile_stored(0, tiles.low_sum, 64);
  if constexpr (digits != Digits::one) _tile_stored(1, tiles.high_sum, 64);
}

template <PackedForm form>
inline __m512i whole_sum(const DigitTiles& tiles, size_t m) {
  const __m512i low = _mm512_load_si512(tiles.low_sum + m * strip_rows);
  if constexpr (digits_of(form) == Digits::one) return low;
  const __m512i high = _mm512_load_si512(tiles.high_sum + m * strip_rows);
  return _mm512_add_epi32(low, _mm512_slli_epi32(high, log2_of_base(digits_of(form))));
}

// acc[m·16] += the block at column k, of which the sums are there.
template <PackedForm form>
inline void add_sums(const Block<form>& block, const DigitTiles& tiles, const Job& job, uint32_t count,
                     size_t k, float* acc) {
  constexpr size_t groups = block_cols / form.group;
  const IntegerRow row = integer_row(job.cols);
  const BlockEnd<form> end(block);
  __m512i offsets[groups / 2];
  for (size_t g = 0; g < groups; g += 2) offsets[g / 2] = block.offsets(g);
  const uint8_t* x = job.x;
  for (size_t m = 0; m < count; ++m, x += job.x_bytes, acc += strip_rows) {
    const uint8_t* sums = x + short_sums_at<form>(row, k);
    __m512i taken = _mm512_setzero_si512();
    for (size_t g = 0; g < groups; g += 2)
      taken = _mm512_dpwssd_epi32(taken, offsets[g / 2], four_columns(sums + 2 * g));
    end.add(_mm512_cvtepi32_ps(whole_sum<form>(tiles, m)), taken, one_float(x + row.scale + k / 8), acc);
  }
}

// `count` activation rows, at most sixteen, with any number of weight rows. While tiles multiply one block
// the next waits for them: what was stored is read again only after other work.
template <PackedForm form>
void multiply_tiles(Job job, uint32_t count) {
  KeptConfig kept;
  keep_config(kept);
  configure(count);
  DigitTiles tiles;
  alignas(64) float acc[tile_rows * strip_rows];
  const size_t bytes = strip_bytes(form, job.cols);
  const uint32_t rows = job.rows;
  Lines first(job.strip);
  unpack(Block<form>(job.strip, job.cols, 0), tiles, first);
  for (uint32_t r = 0; r < rows; r += strip_rows, job.strip += bytes, job.y += strip_rows) {
    job.rows = rows - r < strip_rows ? rows - r : strip_rows;
    for (uint32_t m = 0; m < count; ++m) _mm512_store_ps(acc + m * strip_rows, _mm512_setzero_ps());
    for (size_t k = 0; k < job.cols; k += block_cols) {
      Lines ahead(job.strip + bytes + k / block_cols * lines_of_block(form) * 64);
      sum<form>(job.x + k, job.x_bytes, tiles, ahead);
      const bool last = k + block_cols == job.cols;
      if (!last) unpack(Block<form>(job.strip, job.cols, k + block_cols), tiles, ahead);
      if (last && r + strip_rows < rows) unpack(Block<form>(job.strip + bytes, job.cols, 0), tiles, ahead);
      add_sums<form>(Block<form>(job.strip, job.cols, k), tiles, job, count, k, acc);
    }
    for (uint32_t m = 0; m < count; ++m) {
      _mm512_mask_storeu_ps(job.y + m * job.y_stride, real_rows(job), _mm512_load_ps(acc + m * strip_rows));
    }
  }
  restore_config(kept);
}

}  // namespace
}  // namespace hearth::cpu
