#include "tensor/types/block.h"
#include "tensor/types/encode.h"
#include "tensor/types/list.h"
#include "tensor/types/search_affine.h"

namespace hearth {
namespace {

// f16 d, f16 m, q[16], ordered as Q4_0.
void decode(const std::byte* b, float* out) {
  const float d = f16(b), m = f16(b + 2);
  for (uint32_t i = 0; i < 16; ++i) {
    const int q = u8(b, 4 + i);
    const float low = static_cast<float>(q & 15) * d, high = static_cast<float>(q >> 4) * d;
    out[i] = low + m;
    out[i + 16] = high + m;
  }
}

template <class Level>
void pack(std::byte* b, Level&& q) {
  for (uint32_t i = 0; i < 16; ++i) b[4 + i] = byte_of(q(i) | (q(i + 16) << 4));
}

void round(const float* x, std::byte* b) {
  const auto [low, high] = std::minmax_element(x, x + 32);
  const float d = put_rounded(b, (*high - *low) / 15.0F), m = put_rounded(b + 2, *low);
  pack(b, [&](uint32_t i) { return level(quotient(x[i] - m, d), 0, 15); });
}

void encode(const float* x, const float* importance, std::byte* b) {
  const Line line = best_half_line<15, 32>(x, weights_or_ones(importance), {-1.0F, 3.0F, 8, false});
  const float d = put_rounded(b, line.scale), m = put_rounded(b + 2, line.minimum);
  const float inverse = d != 0 ? 1 / d : 0;
  pack(b, [&](uint32_t i) { return Integers<0, 15>::number((x[i] - m) * inverse); });
}

}  // namespace

const TypeInfo q4_1_type{DType::q4_1,
                         "Q4_1",
                         32,
                         20,
                         decode_blocks<20, 32, decode>,
                         encode_blocks<20, 32, encode>,
                         round_blocks<20, 32, round>};

}  // namespace hearth
