#include "tensor/types/block.h"
#include "tensor/types/encode.h"
#include "tensor/types/list.h"
#include "tensor/types/search_affine.h"

namespace hearth {
namespace {

// sc[16], q[64], f16 d, f16 dmin: value = (d · (sc & 15)) · q − dmin · (sc >> 4).
void decode(const std::byte* b, float* out) {
  const float d = f16(b + 80), dmin = f16(b + 82);
  for (uint32_t j = 0; j < 16; ++j) {
    const uint32_t g = j / 8, r = (j % 8) / 2, first = 16 + 32 * g + 16 * (j % 2);
    const float scale = d * static_cast<float>(u8(b, j) & 15), low = dmin * static_cast<float>(u8(b, j) >> 4);
    for (uint32_t i = 0; i < 16; ++i) {
      const float part = scale * static_cast<float>((u8(b, first + i) >> (2 * r)) & 3);
      *out++ = part - low;
    }
  }
}

template <class Block>
void pack(const Block& a, std::byte* b) {
  for (uint32_t j = 0; j < 16; ++j) b[j] = byte_of(a.scale[j] | (a.minimum[j] << 4));
  for (uint32_t at = 0; at < 64; ++at) {
    int four = 0;
    for (uint32_t r = 0; r < 4; ++r) four |= a.q[8 * (at / 32) + 2 * r + (at % 32) / 16][at % 16] << (2 * r);
    b[16 + at] = byte_of(four);
  }
}

void round(const float* x, std::byte* b) { pack(AffineBlock<16, 16>(x, 3, 15, b + 80, b + 82), b); }

void encode(const float* x, const float* importance, std::byte* b) {
  const AffineSearch<3, 16, 16, 15> a(x, weights_or_ones(importance), {-0.6F, 1.8F, 12, true}, 3);
  put_f16(b + 80, a.d);
  put_f16(b + 82, a.dmin);
  pack(a, b);
}

}  // namespace

const TypeInfo q2_k_type{DType::q2_k,
                         "Q2_K",
                         256,
                         84,
                         decode_blocks<84, 256, decode>,
                         encode_blocks<84, 256, encode>,
                         round_blocks<84, 256, round>};

}  // namespace hearth
