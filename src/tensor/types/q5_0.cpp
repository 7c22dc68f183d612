#include "tensor/types/block.h"
#include "tensor/types/encode.h"
#include "tensor/types/list.h"
#include "tensor/types/search_scale.h"

namespace hearth {
namespace {

// f16 d, u32 h (fifth bits), q[16], ordered as Q4_0.
void decode(const std::byte* b, float* out) {
  const float d = f16(b);
  const uint32_t h = u32(b + 2);
  for (uint32_t i = 0; i < 16; ++i) {
    const uint32_t q = u8(b, 6 + i);
    const int low = static_cast<int>((q & 15U) | (((h >> i) & 1U) << 4)) - 16;
    const int high = static_cast<int>((q >> 4) | (((h >> (i + 16)) & 1U) << 4)) - 16;
    out[i] = static_cast<float>(low) * d;
    out[i + 16] = static_cast<float>(high) * d;
  }
}

template <class Level>
void pack(std::byte* b, Level&& level_of) {
  uint32_t h = 0;
  for (uint32_t i = 0; i < 16; ++i) {
    const auto low = static_cast<uint32_t>(level_of(i)), high = static_cast<uint32_t>(level_of(i + 16));
    b[6 + i] = static_cast<std::byte>((low & 15U) | ((high & 15U) << 4));
    h |= (low >> 4) << i | (high >> 4) << (i + 16);
  }
  std::memcpy(b + 2, &h, sizeof h);
}

// The element of largest magnitude becomes −16.
void round(const float* x, std::byte* b) {
  const float d = put_rounded(b, peak(x, 32) / -16.0F);
  pack(b, [&](uint32_t i) { return level(quotient(x[i], d), -16, 15) + 16; });
}

void encode(const float* x, const float* importance, std::byte* b) {
  using Levels = Integers<-16, 15>;
  const float* w = weights_or_ones(importance);
  const float scale = search_scale<Levels, 32>(x, w, {0.9F, 1.2F, 12});
  const float d = put_rounded(b, best_half<Levels, 32>(x, w, scale, 2)), inverse = d != 0 ? 1 / d : 0;
  pack(b, [&](uint32_t i) { return Levels::number(x[i] * inverse); });
}

}  // namespace

const TypeInfo q5_0_type{DType::q5_0,
                         "Q5_0",
                         32,
                         22,
                         decode_blocks<22, 32, decode>,
                         encode_blocks<22, 32, encode>,
                         round_blocks<22, 32, round>};

}  // namespace hearth
