#include "tensor/types/block.h"
#include "tensor/types/codebooks.h"
#include "tensor/types/encode.h"
#include "tensor/types/list.h"

namespace hearth {
namespace {

// f16 d, q[16]: d · level[nibble], ordered as Q4_0.
void decode(const std::byte* b, float* out) {
  const float d = f16(b);
  for (uint32_t i = 0; i < 16; ++i) {
    out[i] = d * iq4_levels[u8(b, 2 + i) & 15U];
    out[i + 16] = d * iq4_levels[u8(b, 2 + i) >> 4];
  }
}

void encode(const float* x, const float*, std::byte* b) {
  const float d = put_rounded(b, peak(x, 32) / -127.0F);
  const auto q = [&](uint32_t i) { return nearest(quotient(x[i], d), iq4_levels); };
  for (uint32_t i = 0; i < 16; ++i) b[2 + i] = static_cast<std::byte>(q(i) | (q(i + 16) << 4));
}

}  // namespace

const TypeInfo iq4_nl_type{
    DType::iq4_nl, "IQ4_NL", 32, 18, decode_blocks<18, 32, decode>, encode_blocks<18, 32, encode>};

}  // namespace hearth
