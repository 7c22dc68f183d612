#include "tensor/types/block.h"
#include "tensor/types/encode.h"
#include "tensor/types/list.h"
#include "tensor/types/search_scale.h"

namespace hearth {
namespace {

// Scale j of sixteen: six bits, the low four packed as nibbles, the upper two in the last four bytes.
int scale_of(const std::byte* sc, uint32_t j) {
  const uint32_t low = j < 8 ? u8(sc, j) & 15U : static_cast<uint32_t>(u8(sc, j - 8) >> 4);
  const uint32_t high = (u8(sc, 8 + j % 4) >> (2 * (j / 4))) & 3U;
  return static_cast<int>(low | (high << 4)) - 32;
}

// hm[32], q[64], sc[12], f16 d: value = (d · scale) · (q − (bit of hm set ? 0 : 4)).
void decode(const std::byte* b, float* out) {
  const float d = f16(b + 108);
  for (uint32_t j = 0; j < 16; ++j) {
    const uint32_t g = j / 8, r = (j % 8) / 2, half = 16 * (j % 2);
    const float scale = d * static_cast<float>(scale_of(b + 96, j));
    for (uint32_t i = 0; i < 16; ++i) {
      const int q = (u8(b, 32 + 32 * g + half + i) >> (2 * r)) & 3;
      const bool high = ((u8(b, half + i) >> (4 * g + r)) & 1) != 0;
      *out++ = scale * static_cast<float>(q - (high ? 0 : 4));
    }
  }
}

// `q(e)` is the level of element e, counted from 0.
template <class Level>
void pack(std::byte* b, const int* scale, Level&& level_of) {
  std::memset(b, 0, 108);
  for (uint32_t e = 0; e < 256; ++e) {
    const int q = level_of(e);
    const uint32_t g = e / 128, r = (e % 128) / 32, i = e % 32;
    b[i] |= byte_of((q >> 2) << (4 * g + r));
    b[32 + 32 * g + i] |= byte_of((q & 3) << (2 * r));
  }
  for (uint32_t j = 0; j < 16; ++j) {
    const int s = scale[j] + 32;
    b[96 + j % 8] |= byte_of((s & 15) << (j < 8 ? 0 : 4));
    b[104 + j % 4] |= byte_of((s >> 4) << (2 * (j / 4)));
  }
}

void round(const float* x, std::byte* b) {
  const SignedBlock<16, 16> a(x, -4, -32, 31, b + 108);
  pack(b, a.scale, [&](uint32_t e) { return level(quotient(x[e], a.step[e / 16]), -4, 3) + 4; });
}

void encode(const float* x, const float* importance, std::byte* b) {
  const ScaleSearch<Integers<-4, 3>, 16, 16, -32, 31> a(x, weights_or_ones(importance), {0.8F, 1.5F, 12});
  put_f16(b + 108, a.d);
  pack(b, a.scale, [&](uint32_t e) { return a.q[e / 16][e % 16]; });
}

}  // namespace

const TypeInfo q3_k_type{DType::q3_k,
                         "Q3_K",
                         256,
                         110,
                         decode_blocks<110, 256, decode>,
                         encode_blocks<110, 256, encode>,
                         round_blocks<110, 256, round>};

}  // namespace hearth
