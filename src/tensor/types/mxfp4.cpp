#include <cmath>

#include "tensor/codebooks.h"
#include "tensor/types/block.h"
#include "tensor/types/encode.h"
#include "tensor/types/list.h"
#include "tensor/types/search_scale.h"

namespace hearth {
namespace {

// E2M1 numbers in ascending order, doubled as in fp4_levels; the last is there twice to make sixteen.
constexpr std::array<float, 16> ascending{-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12, 12};
using Fp4Levels = Ascending<ascending>;

// u8 e, q[16]: level[nibble] · 2^(e − 128), ordered as Q4_0; levels are twice the E2M1 numbers.
void decode(const std::byte* b, float* out) {
  const float d = std::ldexp(1.0F, static_cast<int>(u8(b, 0)) - 128);
  for (uint32_t i = 0; i < 16; ++i) {
    out[i] = fp4_levels[u8(b, 1 + i) & 15U] * d;
    out[i + 16] = fp4_levels[u8(b, 1 + i) >> 4] * d;
  }
}

template <class Level>
void pack(std::byte* b, Level&& q) {
  for (uint32_t i = 0; i < 16; ++i) b[1 + i] = static_cast<std::byte>(q(i) | (q(i + 16) << 4));
}

// The exponent of the largest magnitude, less two: E2M1 reaches from there up to six.
int usual_exponent(const float* x) {
  int exponent = 0;
  std::frexp(std::fabs(peak(x, 32)), &exponent);
  return std::clamp(exponent - 3 + 127, 0, 254);
}

void write(const float* x, int e, std::byte* b) {
  b[0] = byte_of(e);
  const float d = std::ldexp(1.0F, e - 128);
  pack(b, [&](uint32_t i) { return nearest(quotient(x[i], d), fp4_levels); });
}

void round(const float* x, std::byte* b) { write(x, usual_exponent(x), b); }

// Of the usual exponent and its neighbours the one that loses least.
void encode(const float* x, const float* importance, std::byte* b) {
  const float* w = weights_or_ones(importance);
  float least = std::numeric_limits<float>::infinity();
  const int usual = usual_exponent(x);
  int best = usual;
  for (int e = std::max(usual - 1, 0); e <= std::min(usual + 1, 254); ++e) {
    const float error = scale_error<Fp4Levels, 32>(x, w, std::ldexp(1.0F, e - 128));
    if (error < least) {
      least = error;
      best = e;
    }
  }
  write(x, best, b);
}

}  // namespace

const TypeInfo mxfp4_type{DType::mxfp4,
                          "MXFP4",
                          32,
                          17,
                          decode_blocks<17, 32, decode>,
                          encode_blocks<17, 32, encode>,
                          round_blocks<17, 32, round>};

}  // namespace hearth
