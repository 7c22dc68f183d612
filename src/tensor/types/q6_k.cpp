#include "tensor/types/block.h"
#include "tensor/types/encode.h"
#include "tensor/types/list.h"
#include "tensor/types/search_scale.h"

namespace hearth {
namespace {

// ql[128], qh[64], i8 sc[16], f16 d: value = (d · sc) · (q − 32).
void decode(const std::byte* b, float* out) {
  const float d = f16(b + 208);
  for (uint32_t g = 0; g < 2; ++g) {
    for (uint32_t r = 0; r < 4; ++r) {
      for (uint32_t i = 0; i < 32; ++i) {
        const uint32_t low = (u8(b, 64 * g + 32 * (r % 2) + i) >> (4 * (r / 2))) & 15U;
        const uint32_t high = (u8(b, 128 + 32 * g + i) >> (2 * r)) & 3U;
        const float scale = d * static_cast<float>(i8(b, 192 + 8 * g + 2 * r + i / 16));
        *out++ = scale * static_cast<float>(static_cast<int>(low | (high << 4)) - 32);
      }
    }
  }
}

// `q(e)` is the level of element e, counted from 0.
template <class Level>
void pack(std::byte* b, const int* scale, Level&& level_of) {
  std::memset(b, 0, 192);
  for (uint32_t j = 0; j < 16; ++j) b[192 + j] = byte_of(scale[j]);
  for (uint32_t e = 0; e < 256; ++e) {
    const int q = level_of(e);
    const uint32_t g = e / 128, r = (e % 128) / 32, i = e % 32;
    b[64 * g + 32 * (r % 2) + i] |= byte_of((q & 15) << (4 * (r / 2)));
    b[128 + 32 * g + i] |= byte_of((q >> 4) << (2 * r));
  }
}

void round(const float* x, std::byte* b) {
  const SignedBlock<16, 16> a(x, -32, -128, 127, b + 208);
  pack(b, a.scale, [&](uint32_t e) { return level(quotient(x[e], a.step[e / 16]), -32, 31) + 32; });
}

void encode(const float* x, const float* importance, std::byte* b) {
  const ScaleSearch<Integers<-32, 31>, 16, 16, -128, 127> a(x, weights_or_ones(importance),
                                                            {0.96F, 1.06F, 6});
  put_f16(b + 208, a.d);
  pack(b, a.scale, [&](uint32_t e) { return a.q[e / 16][e % 16]; });
}

}  // namespace

const TypeInfo q6_k_type{DType::q6_k,
                         "Q6_K",
                         256,
                         210,
                         decode_blocks<210, 256, decode>,
                         encode_blocks<210, 256, encode>,
                         round_blocks<210, 256, round>};

}  // namespace hearth
