#pragma once

#include <bit>
#include <cstdint>

namespace hearth {

// IEEE half precision and bfloat16, bit for bit as the hardware instructions do it (round to nearest even,
// subnormals kept, NaN stays NaN). Portable: the instruction-set kernels have their own.
float half_to_float(uint16_t bits) noexcept;
uint16_t float_to_half(float value) noexcept;

inline float bf16_to_float(uint16_t bits) noexcept {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

inline uint16_t float_to_bf16(float value) noexcept {
  const auto bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<uint16_t>((bits >> 16) | 64U);  // quiet the NaN
  return static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

}  // namespace hearth
