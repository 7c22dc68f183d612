#include "tensor/types/block.h"
#include "tensor/types/codebooks.h"
#include "tensor/types/encode.h"
#include "tensor/types/list.h"

namespace hearth {
namespace {

// f16 d, u16 sh, sl[4], q[128]: (d · (six-bit scale − 32)) · level[nibble] per group of 32.
void decode(const std::byte* b, float* out) {
  const float d = f16(b);
  const uint32_t high = u16(b + 2);
  for (uint32_t g = 0; g < 8; ++g) {
    const uint32_t low = (u8(b, 4 + g / 2) >> (4 * (g % 2))) & 15U;
    const float ds = d * static_cast<float>(static_cast<int>(low | (((high >> (2 * g)) & 3U) << 4)) - 32);
    for (uint32_t i = 0; i < 16; ++i) {
      const uint32_t q = u8(b, 8 + 16 * g + i);
      out[32 * g + i] = ds * iq4_levels[q & 15U];
      out[32 * g + i + 16] = ds * iq4_levels[q >> 4];
    }
  }
}

void encode(const float* x, const float*, std::byte* b) {
  const SignedBlock<8, 32> a(x, -127, -32, 31, b);
  std::memset(b + 2, 0, 6);
  uint16_t high = 0;
  for (uint32_t g = 0; g < 8; ++g) {
    const auto s = static_cast<uint32_t>(a.scale[g] + 32);
    high = static_cast<uint16_t>(high | ((s >> 4) << (2 * g)));
    b[4 + g / 2] |= static_cast<std::byte>((s & 15U) << (4 * (g % 2)));
    const auto q = [&](uint32_t i) { return nearest(quotient(x[32 * g + i], a.step[g]), iq4_levels); };
    for (uint32_t i = 0; i < 16; ++i) b[8 + 16 * g + i] = static_cast<std::byte>(q(i) | (q(i + 16) << 4));
  }
  std::memcpy(b + 2, &high, sizeof high);
}

}  // namespace

const TypeInfo iq4_xs_type{
    DType::iq4_xs, "IQ4_XS", 256, 136, decode_blocks<136, 256, decode>, encode_blocks<136, 256, encode>};

}  // namespace hearth
