#include "tensor/types/block.h"
#include "tensor/types/encode.h"
#include "tensor/types/list.h"
#include "tensor/types/search_affine.h"

namespace hearth {
namespace {

// f16 d, f16 dmin, sc[12], q[128]: value = (d · scale) · q − (dmin · minimum), eight sub-blocks of 32.
void decode(const std::byte* b, float* out) {
  const float d = f16(b), dmin = f16(b + 2);
  for (uint32_t j = 0; j < 8; ++j) {
    uint32_t scale = 0, minimum = 0;
    scale_min(b + 4, j, scale, minimum);
    const float ds = d * static_cast<float>(scale), low = dmin * static_cast<float>(minimum);
    for (uint32_t i = 0; i < 32; ++i) {
      const float part = ds * static_cast<float>((u8(b, 16 + 32 * (j / 2) + i) >> (4 * (j % 2))) & 15);
      *out++ = part - low;
    }
  }
}

template <class Block>
void pack(const Block& a, std::byte* b) {
  pack_scale_min(a.scale, a.minimum, b + 4);
  for (uint32_t j = 0; j < 4; ++j) {
    for (uint32_t i = 0; i < 32; ++i) b[16 + 32 * j + i] = byte_of(a.q[2 * j][i] | (a.q[2 * j + 1][i] << 4));
  }
}

void round(const float* x, std::byte* b) { pack(AffineBlock<8, 32>(x, 15, 63, b, b + 2), b); }

void encode(const float* x, const float* importance, std::byte* b) {
  const AffineSearch<15, 8, 32, 63> a(x, weights_or_ones(importance), {-1.0F, 4.0F, 6, true}, 0);
  put_f16(b, a.d);
  put_f16(b + 2, a.dmin);
  pack(a, b);
}

}  // namespace

const TypeInfo q4_k_type{DType::q4_k,
                         "Q4_K",
                         256,
                         144,
                         decode_blocks<144, 256, decode>,
                         encode_blocks<144, 256, encode>,
                         round_blocks<144, 256, round>};

}  // namespace hearth
