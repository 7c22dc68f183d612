#include "tensor/codebooks.h"
#include "tensor/types/block.h"
#include "tensor/types/list.h"

namespace hearth {
namespace {

// f16 d, q[32], signs[32], h[8] (two more bits per row), sc[8].
void decode(const std::byte* b, float* out) {
  const float d = f16(b);
  for (uint32_t w = 0; w < 32; ++w) {
    const uint32_t high = (u8(b, 66 + w / 4) >> (2 * (w % 4))) & 3U;
    const uint32_t scale = (u8(b, 74 + w / 4) >> (4 * ((w % 4) / 2))) & 15U;
    const float db = (d * (0.5F + static_cast<float>(scale))) * 0.25F;
    const uint32_t row = iq2_s_rows[u8(b, 2 + w) | (high << 8)], signs = u8(b, 34 + w);
    for (uint32_t k = 0; k < 8; ++k) *out++ = signed_by(db * iq2_levels[(row >> (2 * k)) & 3U], signs, k);
  }
}

}  // namespace

const TypeInfo iq2_s_type{DType::iq2_s, "IQ2_S", 256, 82, decode_blocks<82, 256, decode>, nullptr, nullptr};

}  // namespace hearth
