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

// The configuration that there is, if any, and its return: within the stages of a prompt tiles have another.
// No destructor does it, which would need the tables of exceptions.
struct KeptConfig {
  alignas(64) uint8_t bytes[64];
};
inline void keep_config(KeptConfig& kept) {
  _tile_storeconfig(kept.bytes);
  __asm__ volatile("" ::"r"(kept.bytes) : "memory");  // for GCC 12, as above
}
inline void restore_config(const KeptConfig& kept) { _tile_loadconfig(kept.bytes); }

}  // namespace
}  // namespace hearth::cpu
