#include <cmath>

#include "tensor/types/block.h"
#include "tensor/types/codebooks.h"
#include "tensor/types/encode.h"
#include "tensor/types/list.h"

namespace hearth {
namespace {

// u8 e, q[16]: level[nibble] · 2^(e − 128), ordered as Q4_0; levels are twice the E2M1 numbers.
void decode(const std::byte* b, float* out) {
  const float d = std::ldexp(1.0F, static_cast<int>(u8(b, 0)) - 128);
  for (uint32_t i = 0; i < 16; ++i) {
    out[i] = fp4_levels[u8(b, 1 + i) & 15U] * d;
    out[i + 16] = fp4_levels[u8(b, 1 + i) >> 4] * d;
  }
}

// The exponent of the largest magnitude, less two: E2M1 reaches from there up to six.
void encode(const float* x, const float*, std::byte* b) {
  int exponent = 0;
  std::frexp(std::fabs(peak(x, 32)), &exponent);
  const int e = std::clamp(exponent - 3 + 127, 0, 254);
  b[0] = byte_of(e);
  const float d = std::ldexp(1.0F, e - 128);
  const auto q = [&](uint32_t i) { return nearest(quotient(x[i], d), fp4_levels); };
  for (uint32_t i = 0; i < 16; ++i) b[1 + i] = static_cast<std::byte>(q(i) | (q(i + 16) << 4));
}

}  // namespace

const TypeInfo mxfp4_type{
    DType::mxfp4, "MXFP4", 32, 17, decode_blocks<17, 32, decode>, encode_blocks<17, 32, encode>};

}  // namespace hearth
