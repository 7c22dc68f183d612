#pragma once

// Two by two tiles: what products of panels and of attention have in common. Tiles are used as
//   0 … 3 sums (left × right), 4 and 5 left-hand operands, 6 and 7 right-hand ones,
// so that a step of 32 along k loads four tiles for four products.
#include "device/cpu/amx/config.h"

namespace hearth::cpu {
namespace {

constexpr size_t tile_values = 512, tile_floats = 256;  // of bfloat16, of sums

// Where the sums lie, in floats: of the second left-hand tile `below` the first's, of the second right-hand
// one `beside` it, and from row to row.
struct TileSums {
  float* first;
  size_t below, beside, row;
};

template <uint32_t lefts, uint32_t rights>
inline void load_sums(const TileSums& s) {
  const size_t bytes = s.row * sizeof(float);
  _tile_loadd(0, s.first, bytes);
  if constexpr (rights == 2) _tile_loadd(1, s.first + s.beside, bytes);
  if constexpr (lefts == 2) _tile_loadd(2, s.first + s.below, bytes);
  if constexpr (lefts == 2 && rights == 2) _tile_loadd(3, s.first + s.below + s.beside, bytes);
}

inline void clear_sums() {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
}

template <uint32_t lefts, uint32_t rights>
inline void store_sums(const TileSums& s) {
  const size_t bytes = s.row * sizeof(float);
  _tile_stored(0, s.first, bytes);
  if constexpr (rights == 2) _tile_stored(1, s.first + s.beside, bytes);
  if constexpr (lefts == 2) _tile_stored(2, s.first + s.below, bytes);
  if constexpr (lefts == 2 && rights == 2) _tile_stored(3, s.first + s.below + s.beside, bytes);
}

// Adds to the sums in the tiles: `along` tiles of each operand follow one another, and the second begins a
// step behind the first.
template <uint32_t lefts, uint32_t rights>
inline void multiply_tiles(const uint16_t* left, size_t left_step, const uint16_t* right, size_t right_step,
                           uint32_t along) {
  for (uint32_t k = 0; k < along; ++k, left += tile_values, right += tile_values) {
    _tile_loadd(4, left, 64);
    _tile_loadd(6, right, 64);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (rights == 2) {
      _tile_loadd(7, right + right_step, 64);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (lefts == 2) {
      _tile_loadd(5, left + left_step, 64);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (rights == 2) _tile_dpbf16ps(3, 5, 7);
    }
  }
}

}  // namespace
}  // namespace hearth::cpu
