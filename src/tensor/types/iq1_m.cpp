#include "tensor/codebooks.h"
#include "tensor/types/block.h"
#include "tensor/types/list.h"

namespace hearth {
namespace {

// q[32], h[16], u16 s[4]: d is spread over the top nibbles of s, lowest first; a nibble of h per row.
void decode(const std::byte* b, float* out) {
  uint32_t bits = 0;
  for (uint32_t i = 0; i < 4; ++i) bits |= static_cast<uint32_t>(u16(b + 48 + 2 * i) >> 12) << (4 * i);
  const float d = half_to_float(static_cast<uint16_t>(bits));
  for (uint32_t w = 0; w < 32; ++w) {
    const uint32_t g = w / 4, h = (u8(b, 32 + w / 2) >> (4 * (w % 2))) & 15U;
    const uint32_t scale = (u16(b + 48 + 2 * (g / 2)) >> (6 * (g % 2) + 3 * ((w % 4) / 2))) & 7U;
    const float dl = d * static_cast<float>(2 * scale + 1);
    const float shift = (h & 8U) != 0 ? -0.125F : 0.125F;
    const uint32_t row = iq1_rows[u8(b, w) | ((h & 7U) << 8)];
    for (uint32_t k = 0; k < 8; ++k) *out++ = dl * (iq1_levels[(row >> (2 * k)) & 3U] + shift);
  }
}

}  // namespace

const TypeInfo iq1_m_type{DType::iq1_m, "IQ1_M", 256, 56, decode_blocks<56, 256, decode>, nullptr, nullptr};

}  // namespace hearth
