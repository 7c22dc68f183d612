#include "tensor/types/block.h"
#include "tensor/types/encode.h"
#include "tensor/types/list.h"
#include "tensor/types/search_scale.h"

namespace hearth {
namespace {

// f16 d, i8 q[32].
void decode(const std::byte* b, float* out) {
  const float d = f16(b);
  for (uint32_t i = 0; i < 32; ++i) out[i] = static_cast<float>(i8(b, 2 + i)) * d;
}

void round(const float* x, std::byte* b) {
  const float d = put_rounded(b, std::fabs(peak(x, 32)) / 127.0F);
  for (uint32_t i = 0; i < 32; ++i) b[2 + i] = byte_of(level(quotient(x[i], d), -127, 127));
}

void encode(const float* x, const float* importance, std::byte* b) {
  using Levels = Integers<-127, 127>;
  const float* w = weights_or_ones(importance);
  const float d = put_rounded(b, best_half<Levels, 32>(x, w, std::fabs(peak(x, 32)) / 127.0F, 4));
  const float inverse = d != 0 ? 1 / d : 0;
  for (uint32_t i = 0; i < 32; ++i) b[2 + i] = byte_of(Levels::number(x[i] * inverse) - 127);
}

}  // namespace

const TypeInfo q8_0_type{DType::q8_0,
                         "Q8_0",
                         32,
                         34,
                         decode_blocks<34, 32, decode>,
                         encode_blocks<34, 32, encode>,
                         round_blocks<34, 32, round>};

}  // namespace hearth
