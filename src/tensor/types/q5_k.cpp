#include "tensor/types/block.h"
#include "tensor/types/encode.h"
#include "tensor/types/list.h"
#include "tensor/types/search_affine.h"

namespace hearth {
namespace {

// f16 d, f16 dmin, sc[12], h[32], q[128]: as Q4_K, bit j of h[l] is the fifth bit.
void decode(const std::byte* b, float* out) {
  const float d = f16(b), dmin = f16(b + 2);
  for (uint32_t j = 0; j < 8; ++j) {
    uint32_t scale = 0, minimum = 0;
    scale_min(b + 4, j, scale, minimum);
    const float ds = d * static_cast<float>(scale), low = dmin * static_cast<float>(minimum);
    for (uint32_t i = 0; i < 32; ++i) {
      const uint32_t q = (u8(b, 48 + 32 * (j / 2) + i) >> (4 * (j % 2))) & 15U;
      const float part = ds * static_cast<float>(q | (((u8(b, 16 + i) >> j) & 1U) << 4));
      *out++ = part - low;
    }
  }
}

template <class Block>
void pack(const Block& a, std::byte* b) {
  pack_scale_min(a.scale, a.minimum, b + 4);
  for (uint32_t i = 0; i < 32; ++i) {
    int fifth = 0;
    for (uint32_t j = 0; j < 8; ++j) fifth |= (a.q[j][i] >> 4) << j;
    b[16 + i] = byte_of(fifth);
    for (uint32_t j = 0; j < 4; ++j)
      b[48 + 32 * j + i] = byte_of((a.q[2 * j][i] & 15) | ((a.q[2 * j + 1][i] & 15) << 4));
  }
}

void round(const float* x, std::byte* b) { pack(AffineBlock<8, 32>(x, 31, 63, b, b + 2), b); }

void encode(const float* x, const float* importance, std::byte* b) {
  const AffineSearch<31, 8, 32, 63> a(x, weights_or_ones(importance), {-1.0F, 4.0F, 6, true}, 0);
  put_f16(b, a.d);
  put_f16(b + 2, a.dmin);
  pack(a, b);
}

}  // namespace

const TypeInfo q5_k_type{DType::q5_k,
                         "Q5_K",
                         256,
                         176,
                         decode_blocks<176, 256, decode>,
                         encode_blocks<176, 256, encode>,
                         round_blocks<176, 256, round>};

}  // namespace hearth
