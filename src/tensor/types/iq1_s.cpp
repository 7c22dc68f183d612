#include "tensor/codebooks.h"
#include "tensor/types/block.h"
#include "tensor/types/list.h"

namespace hearth {
namespace {

// f16 d, q[32], u16 h[8]: three bits per row index, three bits scale, one bit for the sign of the shift by
// 1/8.
void decode(const std::byte* b, float* out) {
  const float d = f16(b);
  for (uint32_t g = 0; g < 8; ++g) {
    const uint32_t h = u16(b + 34 + 2 * g);
    const float dl = d * static_cast<float>(2 * ((h >> 12) & 7U) + 1);
    const float shift = (h & 0x8000U) != 0 ? -0.125F : 0.125F;
    for (uint32_t l = 0; l < 4; ++l) {
      const uint32_t row = iq1_rows[u8(b, 2 + 4 * g + l) | (((h >> (3 * l)) & 7U) << 8)];
      for (uint32_t k = 0; k < 8; ++k) *out++ = dl * (iq1_levels[(row >> (2 * k)) & 3U] + shift);
    }
  }
}

}  // namespace

const TypeInfo iq1_s_type{DType::iq1_s, "IQ1_S", 256, 50, decode_blocks<50, 256, decode>, nullptr, nullptr};

}  // namespace hearth
