#include "tensor/types/block.h"
#include "tensor/types/list.h"

namespace hearth {
namespace {

// f16 d, q[16]: (two bits − 1) · d, element i at bit 2·(i mod 4) of byte i / 4.
void decode(const std::byte* b, float* out) {
  const float d = f16(b);
  for (uint32_t i = 0; i < 64; ++i)
    out[i] = static_cast<float>(((u8(b, 2 + i / 4) >> (2 * (i % 4))) & 3) - 1) * d;
}

}  // namespace

const TypeInfo q2_0_type{DType::q2_0, "Q2_0", 64, 18, decode_blocks<18, 64, decode>, nullptr, nullptr};

}  // namespace hearth
