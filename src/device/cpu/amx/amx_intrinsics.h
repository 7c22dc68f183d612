#pragma once

// The tile instructions, or with HEARTH_AMX_EMULATION a plain model of them, so that a test can run the
// kernel's logic on machines without tiles. The model knows one thread.
#ifndef HEARTH_AMX_EMULATION

#include "device/cpu/wide/intrinsics.h"

#else

#include <cstddef>
#include <cstdint>

namespace hearth::cpu {
namespace {

struct EmulatedTiles {
  uint8_t rows[8];
  uint16_t row_bytes[8];
  bool configured;
  uint8_t data[8][16][64];
};
EmulatedTiles tiles;

inline void emulated_tile_zero(int t) {
  for (auto& row : tiles.data[t]) {
    for (uint8_t& byte : row) byte = 0;
  }
}

// The 64 bytes of a configuration: palette, start row, 14 reserved, sixteen u16 of row bytes, sixteen u8 of
// rows.
inline void emulated_load_config(const void* config) {
  const auto* bytes = static_cast<const uint8_t*>(config);
  for (int t = 0; t < 8; ++t) {
    __builtin_memcpy(&tiles.row_bytes[t], bytes + 16 + 2 * t, 2);
    tiles.rows[t] = bytes[48 + t];
    if (bytes[0] != 1 || tiles.rows[t] > 16 || tiles.row_bytes[t] > 64) __builtin_trap();
    emulated_tile_zero(t);
  }
  tiles.configured = true;
}

inline void emulated_release() { tiles.configured = false; }

inline void emulated_load(int t, const void* from, size_t stride) {
  if (!tiles.configured) __builtin_trap();
  emulated_tile_zero(t);
  for (size_t r = 0; r < tiles.rows[t]; ++r) {
    __builtin_memcpy(tiles.data[t][r], static_cast<const uint8_t*>(from) + r * stride, tiles.row_bytes[t]);
  }
}

inline void emulated_store(int t, void* to, size_t stride) {
  if (!tiles.configured) __builtin_trap();
  for (size_t r = 0; r < tiles.rows[t]; ++r) {
    __builtin_memcpy(static_cast<uint8_t*>(to) + r * stride, tiles.data[t][r], tiles.row_bytes[t]);
  }
}

// Pair p of row r of a tile, element i of the pair.
inline float emulated_bf16(int t, size_t r, size_t p, size_t i) {
  uint16_t half = 0;
  __builtin_memcpy(&half, &tiles.data[t][r][4 * p + 2 * i], 2);
  const uint32_t bits = static_cast<uint32_t>(half) << 16;
  float value = 0.0F;
  __builtin_memcpy(&value, &bits, 4);
  return value;
}

// c[m][n] += Σ_k a[m][k][0..2) · b[k][n][0..2); shapes that do not fit together are an invalid instruction.
inline void emulated_dot(int c, int a, int b) {
  const size_t m = tiles.rows[c], n = tiles.row_bytes[c] / 4U, pairs = tiles.row_bytes[a] / 4U;
  if (!tiles.configured || tiles.rows[a] != m || tiles.rows[b] != pairs || tiles.row_bytes[b] / 4U != n) {
    __builtin_trap();
  }
  for (size_t i = 0; i < m; ++i) {
    for (size_t j = 0; j < n; ++j) {
      float sum = 0.0F;
      __builtin_memcpy(&sum, &tiles.data[c][i][4 * j], 4);
      for (size_t k = 0; k < pairs; ++k) {
        sum += emulated_bf16(a, i, k, 0) * emulated_bf16(b, k, j, 0);
        sum += emulated_bf16(a, i, k, 1) * emulated_bf16(b, k, j, 1);
      }
      __builtin_memcpy(&tiles.data[c][i][4 * j], &sum, 4);
    }
  }
}

}  // namespace
}  // namespace hearth::cpu

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbf16ps
#define _tile_loadconfig hearth::cpu::emulated_load_config
#define _tile_release hearth::cpu::emulated_release
#define _tile_zero hearth::cpu::emulated_tile_zero
#define _tile_loadd hearth::cpu::emulated_load
#define _tile_stored hearth::cpu::emulated_store
#define _tile_dpbf16ps hearth::cpu::emulated_dot

#endif
