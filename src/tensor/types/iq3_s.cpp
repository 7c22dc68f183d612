#include "tensor/codebooks.h"
#include "tensor/types/block.h"
#include "tensor/types/list.h"

namespace hearth {
namespace {

// f16 d, q[64], h[8] (ninth bits), signs[32], sc[4]: db = d · (1 + 2 · scale).
void decode(const std::byte* b, float* out) {
  const float d = f16(b);
  for (uint32_t g = 0; g < 8; ++g) {
    const uint32_t scale = (u8(b, 106 + g / 2) >> (4 * (g % 2))) & 15U;
    const float db = d * static_cast<float>(1 + 2 * scale);
    for (uint32_t r = 0; r < 8; ++r) {
      const uint32_t ninth = (u8(b, 66 + g) >> r) & 1U;
      const uint32_t row = iq3_s_rows[u8(b, 2 + 8 * g + r) | (ninth << 8)];
      const uint32_t signs = u8(b, 74 + 4 * g + r / 2) >> (4 * (r % 2));
      for (uint32_t k = 0; k < 4; ++k) *out++ = signed_by(db * iq3_s_levels[(row >> (3 * k)) & 7U], signs, k);
    }
  }
}

}  // namespace

const TypeInfo iq3_s_type{DType::iq3_s, "IQ3_S", 256, 110, decode_blocks<110, 256, decode>, nullptr, nullptr};

}  // namespace hearth
