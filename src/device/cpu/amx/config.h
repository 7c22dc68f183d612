#pragma once

// The shapes of the eight tiles; product.h says what they are used for.
#include "device/cpu/amx/amx_intrinsics.h"
#include "device/cpu/table.h"

namespace hearth::cpu {
namespace {

constexpr uint32_t tile_rows = 16;

// Activation tiles and sums of `m` rows, panels of 16; every tile is 64 bytes wide.
inline void configure(uint32_t m) {
  alignas(64) uint8_t config[64] = {};
  config[0] = 1;
  for (uint32_t t = 0; t < 8; ++t) {
    config[16 + 2 * t] = 64;
    config[48 + t] = t < 6 ? static_cast<uint8_t>(m) : static_cast<uint8_t>(tile_rows);
  }
  // GCC 12's intrinsic names eight bytes as its input: without this the other 56 are never written, and the
  // first tile instruction is an invalid one.
  __asm__ volatile("" ::"r"(config) : "memory");
  _tile_loadconfig(config);
}

}  // namespace
}  // namespace hearth::cpu
