#include "tensor/types/block.h"
#include "tensor/types/list.h"

namespace hearth {
namespace {

// Trit n of a byte: five trits are a fraction of 256 in base three; multiplying by 3^n shifts trit n to the
// front.
int trit(uint8_t byte, uint32_t n) {
  constexpr uint32_t powers[5] = {1, 3, 9, 27, 81};
  return static_cast<int>((((byte * powers[n]) & 255U) * 3U) >> 8);
}

// q[48], h[4], f16 d: trits 0–4 of q[0..32], then of q[32..48], then trits 0–3 of h.
void decode(const std::byte* b, float* out) {
  const float d = f16(b + 52);
  const auto run = [&](uint32_t first, uint32_t count, uint32_t trits) {
    for (uint32_t n = 0; n < trits; ++n) {
      for (uint32_t i = 0; i < count; ++i) *out++ = static_cast<float>(trit(u8(b, first + i), n) - 1) * d;
    }
  };
  run(0, 32, 5);
  run(32, 16, 5);
  run(48, 4, 4);
}

}  // namespace

const TypeInfo tq1_0_type{DType::tq1_0, "TQ1_0", 256, 54, decode_blocks<54, 256, decode>, nullptr, nullptr};

}  // namespace hearth
