#include "tensor/types/block.h"
#include "tensor/types/encode.h"
#include "tensor/types/list.h"

namespace hearth {
namespace {

// f16 d, u32 h (fifth bits), q[16], ordered as Q4_0.
void decode(const std::byte* b, float* out) {
  const float d = f16(b);
  const uint32_t h = u32(b + 2);
  for (uint32_t i = 0; i < 16; ++i) {
    const uint32_t q = u8(b, 6 + i);
    const int low = static_cast<int>((q & 15U) | (((h >> i) & 1U) << 4)) - 16;
    const int high = static_cast<int>((q >> 4) | (((h >> (i + 16)) & 1U) << 4)) - 16;
    out[i] = static_cast<float>(low) * d;
    out[i + 16] = static_cast<float>(high) * d;
  }
}

// The element of largest magnitude becomes −16.
void encode(const float* x, const float*, std::byte* b) {
  const float d = put_rounded(b, peak(x, 32) / -16.0F);
  const auto q = [&](uint32_t i) { return static_cast<uint32_t>(level(quotient(x[i], d), -16, 15) + 16); };
  uint32_t h = 0;
  for (uint32_t i = 0; i < 16; ++i) {
    b[6 + i] = static_cast<std::byte>((q(i) & 15U) | ((q(i + 16) & 15U) << 4));
    h |= (q(i) >> 4) << i | (q(i + 16) >> 4) << (i + 16);
  }
  std::memcpy(b + 2, &h, sizeof h);
}

}  // namespace

const TypeInfo q5_0_type{
    DType::q5_0, "Q5_0", 32, 22, decode_blocks<22, 32, decode>, encode_blocks<22, 32, encode>};

}  // namespace hearth
