#include "tensor/codebooks.h"
#include "tensor/types/block.h"
#include "tensor/types/encode.h"
#include "tensor/types/list.h"
#include "tensor/types/search_scale.h"

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

template <class Level>
void pack(std::byte* b, Level&& q) {
  for (uint32_t i = 0; i < 16; ++i) b[2 + i] = static_cast<std::byte>(q(i) | (q(i + 16) << 4));
}

void round(const float* x, std::byte* b) {
  const float d = put_rounded(b, peak(x, 32) / -127.0F);
  pack(b, [&](uint32_t i) { return nearest(quotient(x[i], d), iq4_levels); });
}

void encode(const float* x, const float* importance, std::byte* b) {
  using Levels = Ascending<iq4_levels>;
  const float* w = weights_or_ones(importance);
  const float scale = search_scale<Levels, 32>(x, w, {0.85F, 1.3F, 9});
  const float d = put_rounded(b, best_half<Levels, 32>(x, w, scale, 1)), inverse = d != 0 ? 1 / d : 0;
  pack(b, [&](uint32_t i) { return Levels::number(x[i] * inverse); });
}

}  // namespace

const TypeInfo iq4_nl_type{DType::iq4_nl,
                           "IQ4_NL",
                           32,
                           18,
                           decode_blocks<18, 32, decode>,
                           encode_blocks<18, 32, encode>,
                           round_blocks<18, 32, round>};

}  // namespace hearth
