#include "tensor/codebooks.h"
#include "tensor/types/block.h"
#include "tensor/types/encode.h"
#include "tensor/types/list.h"
#include "tensor/types/search_scale.h"

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

// `q(e)` is the level of element e, counted from 0.
template <class Level>
void pack(std::byte* b, const int* scale, Level&& level_of) {
  std::memset(b + 2, 0, 6);
  uint16_t high = 0;
  for (uint32_t g = 0; g < 8; ++g) {
    const auto s = static_cast<uint32_t>(scale[g] + 32);
    high = static_cast<uint16_t>(high | ((s >> 4) << (2 * g)));
    b[4 + g / 2] |= static_cast<std::byte>((s & 15U) << (4 * (g % 2)));
    const auto q = [&](uint32_t i) { return static_cast<int>(level_of(32 * g + i)); };
    for (uint32_t i = 0; i < 16; ++i) b[8 + 16 * g + i] = byte_of(q(i) | (q(i + 16) << 4));
  }
  std::memcpy(b + 2, &high, sizeof high);
}

void round(const float* x, std::byte* b) {
  const SignedBlock<8, 32> a(x, -127, -32, 31, b);
  pack(b, a.scale, [&](uint32_t e) { return nearest(quotient(x[e], a.step[e / 32]), iq4_levels); });
}

void encode(const float* x, const float* importance, std::byte* b) {
  const ScaleSearch<Ascending<iq4_levels>, 8, 32, -32, 31> a(x, weights_or_ones(importance),
                                                             {0.85F, 1.3F, 9});
  put_f16(b, a.d);
  pack(b, a.scale, [&](uint32_t e) { return a.q[e / 32][e % 32]; });
}

}  // namespace

const TypeInfo iq4_xs_type{DType::iq4_xs,
                           "IQ4_XS",
                           256,
                           136,
                           decode_blocks<136, 256, decode>,
                           encode_blocks<136, 256, encode>,
                           round_blocks<136, 256, round>};

}  // namespace hearth
