#include "tensor/codebooks.h"
#include "tensor/types/block.h"
#include "tensor/types/list.h"

namespace hearth {
namespace {

// f16 d, then per group of 32: four row indices, u32 with four sign indices and the scale.
void decode(const std::byte* b, float* out) {
  const float d = f16(b);
  for (uint32_t g = 0; g < 8; ++g) {
    const std::byte* q = b + 2 + 8 * g;
    const uint32_t a = u32(q + 4);
    const float db = (d * (0.5F + static_cast<float>(a >> 28))) * 0.25F;
    for (uint32_t l = 0; l < 4; ++l) {
      const uint32_t row = iq2_xxs_rows[u8(q, l)], signs = signs_of((a >> (7 * l)) & 127U);
      for (uint32_t k = 0; k < 8; ++k) *out++ = signed_by(db * iq2_levels[(row >> (2 * k)) & 3U], signs, k);
    }
  }
}

}  // namespace

const TypeInfo iq2_xxs_type{DType::iq2_xxs, "IQ2_XXS", 256, 66, decode_blocks<66, 256, decode>,
                            nullptr,        nullptr};

}  // namespace hearth
