#include "tensor/codebooks.h"
#include "tensor/types/block.h"
#include "tensor/types/list.h"

namespace hearth {
namespace {

// f16 d, u16 q[32] (nine bits row, seven bits sign index), sc[8]: two scales per group.
void decode(const std::byte* b, float* out) {
  const float d = f16(b);
  for (uint32_t w = 0; w < 32; ++w) {
    const uint32_t q = u16(b + 2 + 2 * w);
    const uint32_t scale = (u8(b, 66 + w / 4) >> (4 * ((w % 4) / 2))) & 15U;
    const float db = (d * (0.5F + static_cast<float>(scale))) * 0.25F;
    const uint32_t row = iq2_xs_rows[q & 511U], signs = signs_of(q >> 9);
    for (uint32_t k = 0; k < 8; ++k) *out++ = signed_by(db * iq2_levels[(row >> (2 * k)) & 3U], signs, k);
  }
}

}  // namespace

const TypeInfo iq2_xs_type{DType::iq2_xs, "IQ2_XS", 256, 74, decode_blocks<74, 256, decode>,
                           nullptr,       nullptr};

}  // namespace hearth
