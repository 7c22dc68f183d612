#include <cmath>

#include "tensor/codebooks.h"
#include "tensor/types/block.h"
#include "tensor/types/list.h"

namespace hearth {
namespace {

// Half the value of an unsigned E4M3 number (bias 7, subnormals); 0x00 and 0x7F give 0.
float half_e4m3(uint8_t s) {
  if (s == 0 || s == 0x7f) return 0;
  const int exponent = (s >> 3) & 15, mantissa = s & 7;
  if (exponent == 0) return std::ldexp(static_cast<float>(mantissa), -10);
  return std::ldexp(static_cast<float>(8 + mantissa), exponent - 11);
}

// u8 s[4], q[32]: four runs of 16 with a scale each, ordered as Q4_0 within the run.
void decode(const std::byte* b, float* out) {
  for (uint32_t r = 0; r < 4; ++r) {
    const float d = half_e4m3(u8(b, r));
    for (uint32_t i = 0; i < 8; ++i) {
      const uint32_t q = u8(b, 4 + 8 * r + i);
      out[16 * r + i] = fp4_levels[q & 15U] * d;
      out[16 * r + i + 8] = fp4_levels[q >> 4] * d;
    }
  }
}

}  // namespace

const TypeInfo nvfp4_type{DType::nvfp4, "NVFP4", 64, 36, decode_blocks<36, 64, decode>, nullptr, nullptr};

}  // namespace hearth
