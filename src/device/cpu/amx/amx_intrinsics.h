#pragma once

// The tile instructions, or with HEARTH_AMX_EMULATION a plain model of them, so that a test can run the
// kernel's logic on machines without tiles. The model knows one thread.
#include "device/cpu/wide/intrinsics.h"

#ifdef HEARTH_AMX_EMULATION

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
EmulatedTiles emulated_tiles;

inline void emulated_tile_zero(int t) {
  for (auto& row : emulated_tiles.data[t]) {
    for (uint8_t& byte : row) byte = 0;
  }
}

// The 64 bytes of a configuration: palette, start row, 14 reserved, sixteen u16 of row bytes, sixteen u8 of
// rows.
inline void emulated_load_config(const void* config) {
  const auto* bytes = static_cast<const uint8_t*>(config);
  if (bytes[0] == 0) {
    emulated_tiles.configured = false;
    return;
  }
  for (int t = 0; t < 8; ++t) {
    __builtin_memcpy(&emulated_tiles.row_bytes[t], bytes + 16 + 2 * t, 2);
    emulated_tiles.rows[t] = bytes[48 + t];
    if (bytes[0] != 1 || emulated_tiles.rows[t] > 16 || emulated_tiles.row_bytes[t] > 64) __builtin_trap();
    emulated_tile_zero(t);
  }
  emulated_tiles.configured = true;
}

inline void emulated_release() { emulated_tiles.configured = false; }

// Zeros where there is none, as the instruction does it.
inline void emulated_store_config(void* config) {
  auto* bytes = static_cast<uint8_t*>(config);
  for (int i = 0; i < 64; ++i) bytes[i] = 0;
  if (!emulated_tiles.configured) return;
  bytes[0] = 1;
  for (int t = 0; t < 8; ++t) {
    __builtin_memcpy(bytes + 16 + 2 * t, &emulated_tiles.row_bytes[t], 2);
    bytes[48 + t] = emulated_tiles.rows[t];
  }
}

inline void emulated_load(int t, const void* from, size_t stride) {
  if (!emulated_tiles.configured) __builtin_trap();
  emulated_tile_zero(t);
  for (size_t r = 0; r < emulated_tiles.rows[t]; ++r) {
    __builtin_memcpy(emulated_tiles.data[t][r], static_cast<const uint8_t*>(from) + r * stride,
                     emulated_tiles.row_bytes[t]);
  }
}

inline void emulated_store(int t, void* to, size_t stride) {
  if (!emulated_tiles.configured) __builtin_trap();
  for (size_t r = 0; r < emulated_tiles.rows[t]; ++r) {
    __builtin_memcpy(static_cast<uint8_t*>(to) + r * stride, emulated_tiles.data[t][r],
                     emulated_tiles.row_bytes[t]);
  }
}

// Pair p of row r of a tile, element i of the pair.
inline float emulated_bf16(int t, size_t r, size_t p, size_t i) {
  uint16_t half = 0;
  __builtin_memcpy(&half, &emulated_tiles.data[t][r][4 * p + 2 * i], 2);
  const uint32_t bits = static_cast<uint32_t>(half) << 16;
  float value = 0.0F;
  __builtin_memcpy(&value, &bits, 4);
  return value;
}

// Shapes that do not fit together are an invalid instruction.
inline void expect_fitting(int c, int a, int b) {
  if (!emulated_tiles.configured || emulated_tiles.rows[a] != emulated_tiles.rows[c] ||
      emulated_tiles.rows[b] != emulated_tiles.row_bytes[a] / 4U ||
      emulated_tiles.row_bytes[b] != emulated_tiles.row_bytes[c]) {
    __builtin_trap();
  }
}

// c[m][n] += Σ_k a[m][k][0..4) · b[k][n][0..4), whole numbers of eight bits; a has signs, b may have.
inline void emulated_byte_dot(int c, int a, int b, bool signs) {
  expect_fitting(c, a, b);
  for (size_t i = 0; i < emulated_tiles.rows[c]; ++i) {
    for (size_t j = 0; j < emulated_tiles.row_bytes[c] / 4U; ++j) {
      int32_t sum = 0;
      __builtin_memcpy(&sum, &emulated_tiles.data[c][i][4 * j], 4);
      for (size_t k = 0; k < emulated_tiles.row_bytes[a]; ++k) {
        const uint8_t right = emulated_tiles.data[b][k / 4][4 * j + k % 4];
        sum += static_cast<int8_t>(emulated_tiles.data[a][i][k]) *
               (signs ? static_cast<int8_t>(right) : int32_t{right});
      }
      __builtin_memcpy(&emulated_tiles.data[c][i][4 * j], &sum, 4);
    }
  }
}
inline void emulated_signed_dot(int c, int a, int b) { emulated_byte_dot(c, a, b, true); }
inline void emulated_unsigned_dot(int c, int a, int b) { emulated_byte_dot(c, a, b, false); }

// c[m][n] += Σ_k a[m][k][0..2) · b[k][n][0..2).
inline void emulated_dot(int c, int a, int b) {
  expect_fitting(c, a, b);
  const size_t m = emulated_tiles.rows[c], n = emulated_tiles.row_bytes[c] / 4U,
               pairs = emulated_tiles.row_bytes[a] / 4U;
  for (size_t i = 0; i < m; ++i) {
    for (size_t j = 0; j < n; ++j) {
      float sum = 0.0F;
      __builtin_memcpy(&sum, &emulated_tiles.data[c][i][4 * j], 4);
      for (size_t k = 0; k < pairs; ++k) {
        sum += emulated_bf16(a, i, k, 0) * emulated_bf16(b, k, j, 0);
        sum += emulated_bf16(a, i, k, 1) * emulated_bf16(b, k, j, 1);
      }
      __builtin_memcpy(&emulated_tiles.data[c][i][4 * j], &sum, 4);
    }
  }
}

}  // namespace
}  // namespace hearth::cpu

#undef _tile_loadconfig
#undef _tile_storeconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbf16ps
#undef _tile_dpbssd
#undef _tile_dpbsud
#define _tile_loadconfig hearth::cpu::emulated_load_config
#define _tile_storeconfig hearth::cpu::emulated_store_config
#define _tile_release hearth::cpu::emulated_release
#define _tile_zero hearth::cpu::emulated_tile_zero
#define _tile_loadd hearth::cpu::emulated_load
#define _tile_stored hearth::cpu::emulated_store
#define _tile_dpbf16ps hearth::cpu::emulated_dot
#define _tile_dpbssd hearth::cpu::emulated_signed_dot
#define _tile_dpbsud hearth::cpu::emulated_unsigned_dot

#endif
