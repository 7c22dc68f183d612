#include "tensor/types/block.h"
#include "tensor/types/encode.h"
#include "tensor/types/list.h"
#include "tensor/types/search_affine.h"

namespace hearth {
namespace {

// f16 d, f16 m, u32 h (fifth bits), q[16], ordered as Q4_0.
void decode(const std::byte* b, float* out) {
  const float d = f16(b), m = f16(b + 2);
  const uint32_t h = u32(b + 4);
  for (uint32_t i = 0; i < 16; ++i) {
    const uint32_t q = u8(b, 8 + i);
    const float low = static_cast<float>((q & 15U) | (((h >> i) & 1U) << 4)) * d;
    const float high = static_cast<float>((q >> 4) | (((h >> (i + 16)) & 1U) << 4)) * d;
    out[i] = low + m;
    out[i + 16] = high + m;
  }
}

template <class Level>
void pack(std::byte* b, Level&& level_of) {
  uint32_t h = 0;
  for (uint32_t i = 0; i < 16; ++i) {
    const auto low = static_cast<uint32_t>(level_of(i)), high = static_cast<uint32_t>(level_of(i + 16));
    b[8 + i] = static_cast<std::byte>((low & 15U) | ((high & 15U) << 4));
    h |= (low >> 4) << i | (high >> 4) << (i + 16);
  }
  std::memcpy(b + 4, &h, sizeof h);
}

void round(const float* x, std::byte* b) {
  const auto [low, high] = std::minmax_element(x, x + 32);
  const float d = put_rounded(b, (*high - *low) / 31.0F), m = put_rounded(b + 2, *low);
  pack(b, [&](uint32_t i) { return level(quotient(x[i] - m, d), 0, 31); });
}

void encode(const float* x, const float* importance, std::byte* b) {
  const Line line = best_half_line<31, 32>(x, weights_or_ones(importance), {-1.0F, 3.0F, 8, false});
  const float d = put_rounded(b, line.scale), m = put_rounded(b + 2, line.minimum);
  const float inverse = d != 0 ? 1 / d : 0;
  pack(b, [&](uint32_t i) { return Integers<0, 31>::number((x[i] - m) * inverse); });
}

}  // namespace

const TypeInfo q5_1_type{DType::q5_1,
                         "Q5_1",
                         32,
                         24,
                         decode_blocks<24, 32, decode>,
                         encode_blocks<24, 32, encode>,
                         round_blocks<24, 32, round>};

}  // namespace hearth
