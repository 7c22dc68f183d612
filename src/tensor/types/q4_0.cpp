#include "tensor/types/block.h"
#include "tensor/types/encode.h"
#include "tensor/types/list.h"
#include "tensor/types/search_scale.h"

namespace hearth {
namespace {

// f16 d, q[16]: low nibbles are elements 0–15, high ones 16–31.
void decode(const std::byte* b, float* out) {
  const float d = f16(b);
  for (uint32_t i = 0; i < 16; ++i) {
    const int q = u8(b, 2 + i);
    out[i] = static_cast<float>((q & 15) - 8) * d;
    out[i + 16] = static_cast<float>((q >> 4) - 8) * d;
  }
}

template <class Level>
void pack(std::byte* b, Level&& q) {
  for (uint32_t i = 0; i < 16; ++i) b[2 + i] = byte_of(q(i) | (q(i + 16) << 4));
}

// The element of largest magnitude becomes −8: that side of the range is one step longer.
void round(const float* x, std::byte* b) {
  const float d = put_rounded(b, peak(x, 32) / -8.0F);
  pack(b, [&](uint32_t i) { return level(quotient(x[i], d), -8, 7) + 8; });
}

void encode(const float* x, const float* importance, std::byte* b) {
  using Levels = Integers<-8, 7>;
  const float* w = weights_or_ones(importance);
  const float scale = search_scale<Levels, 32>(x, w, {0.85F, 1.45F, 15});
  const float d = put_rounded(b, best_half<Levels, 32>(x, w, scale, 2)), inverse = d != 0 ? 1 / d : 0;
  pack(b, [&](uint32_t i) { return Levels::number(x[i] * inverse); });
}

}  // namespace

const TypeInfo q4_0_type{DType::q4_0,
                         "Q4_0",
                         32,
                         18,
                         decode_blocks<18, 32, decode>,
                         encode_blocks<18, 32, encode>,
                         round_blocks<18, 32, round>};

}  // namespace hearth
