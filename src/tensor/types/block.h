#pragma once

// Reading the fields of a block: little-endian, unaligned.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/half.h"
#include "tensor/types.h"

namespace hearth {

inline uint8_t u8(const std::byte* p, size_t i) { return static_cast<uint8_t>(p[i]); }
inline int8_t i8(const std::byte* p, size_t i) { return static_cast<int8_t>(p[i]); }
inline uint16_t u16(const std::byte* p) {
  uint16_t v = 0;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline uint32_t u32(const std::byte* p) {
  uint32_t v = 0;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline float f16(const std::byte* p) { return half_to_float(u16(p)); }
inline void put_f16(std::byte* p, float value) {
  const uint16_t bits = float_to_half(value);
  std::memcpy(p, &bits, sizeof bits);
}

// Runs `decode(block, out)` over whole blocks.
template <uint32_t Bytes, uint32_t Values, void (*decode)(const std::byte*, float*)>
void decode_blocks(std::span<const std::byte> blocks, std::span<float> out) {
  const std::byte* p = blocks.data();
  float* o = out.data();
  for (size_t i = 0; i < out.size() / Values; ++i, p += Bytes, o += Values) decode(p, o);
}

// Runs `encode(in, importance or null, block)` over whole blocks.
template <uint32_t Bytes, uint32_t Values, void (*encode)(const float*, const float*, std::byte*)>
void encode_blocks(std::span<const float> in, std::span<const float> importance,
                   std::span<std::byte> blocks) {
  for (size_t i = 0; i < in.size() / Values; ++i) {
    encode(in.data() + i * Values, importance.empty() ? nullptr : importance.data() + i * Values,
           blocks.data() + i * Bytes);
  }
}

// Runs `round(in, block)` over whole blocks.
template <uint32_t Bytes, uint32_t Values, void (*round)(const float*, std::byte*)>
void round_blocks(std::span<const float> in, std::span<std::byte> blocks) {
  for (size_t i = 0; i < in.size() / Values; ++i) round(in.data() + i * Values, blocks.data() + i * Bytes);
}

// Sign byte of a seven-bit index: the index with its parity as bit 7.
inline uint8_t signs_of(uint32_t index) {
  return static_cast<uint8_t>(index | (static_cast<uint32_t>(__builtin_popcount(index) & 1) << 7));
}
inline float signed_by(float value, uint32_t signs, uint32_t bit) {
  return ((signs >> bit) & 1U) != 0 ? -value : value;
}

// Scale and minimum of sub-block j of Q4_K and Q5_K: six bits each, packed into twelve bytes.
inline void scale_min(const std::byte* sc, uint32_t j, uint32_t& scale, uint32_t& minimum) {
  if (j < 4) {
    scale = u8(sc, j) & 63U;
    minimum = u8(sc, j + 4) & 63U;
  } else {
    scale = (u8(sc, j + 4) & 15U) | (static_cast<uint32_t>(u8(sc, j - 4) >> 6) << 4);
    minimum = static_cast<uint32_t>(u8(sc, j + 4) >> 4) | (static_cast<uint32_t>(u8(sc, j) >> 6) << 4);
  }
}

}  // namespace hearth
