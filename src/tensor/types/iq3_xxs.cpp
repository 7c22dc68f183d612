#include "tensor/codebooks.h"
#include "tensor/types/block.h"
#include "tensor/types/list.h"

namespace hearth {
namespace {

// f16 d, q[64], u32 a[8]: eight rows of four per group, row pairs share a sign index.
void decode(const std::byte* b, float* out) {
  const float d = f16(b);
  for (uint32_t g = 0; g < 8; ++g) {
    const uint32_t a = u32(b + 66 + 4 * g);
    const float db = (d * (0.5F + static_cast<float>(a >> 28))) * 0.5F;
    for (uint32_t r = 0; r < 8; ++r) {
      const uint32_t row = iq3_xxs_rows[u8(b, 2 + 8 * g + r)], signs = signs_of((a >> (7 * (r / 2))) & 127U);
      for (uint32_t k = 0; k < 4; ++k) {
        *out++ = signed_by(db * iq3_xxs_levels[(row >> (3 * k)) & 7U], signs, 4 * (r % 2) + k);
      }
    }
  }
}

}  // namespace

const TypeInfo iq3_xxs_type{DType::iq3_xxs, "IQ3_XXS", 256, 98, decode_blocks<98, 256, decode>,
                            nullptr,        nullptr};

}  // namespace hearth
