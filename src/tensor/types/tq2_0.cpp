#include "tensor/types/block.h"
#include "tensor/types/list.h"

namespace hearth {
namespace {

// q[64], f16 d: (two bits − 1) · d; two runs of 32 bytes, within a run the lowest pair of every byte first.
void decode(const std::byte* b, float* out) {
  const float d = f16(b + 64);
  for (uint32_t run = 0; run < 2; ++run) {
    for (uint32_t pair = 0; pair < 4; ++pair) {
      for (uint32_t i = 0; i < 32; ++i)
        *out++ = static_cast<float>(((u8(b, 32 * run + i) >> (2 * pair)) & 3) - 1) * d;
    }
  }
}

}  // namespace

const TypeInfo tq2_0_type{DType::tq2_0, "TQ2_0", 256, 66, decode_blocks<66, 256, decode>, nullptr, nullptr};

}  // namespace hearth
