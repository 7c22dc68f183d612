#include "tensor/types/block.h"
#include "tensor/types/list.h"

namespace hearth {
namespace {

// f16 d, bits[16]: set +d, clear −d.
void decode(const std::byte* b, float* out) {
  const float d = f16(b);
  for (uint32_t i = 0; i < 128; ++i) out[i] = ((u8(b, 2 + i / 8) >> (i % 8)) & 1) != 0 ? d : -d;
}

}  // namespace

const TypeInfo q1_0_type{DType::q1_0, "Q1_0", 128, 18, decode_blocks<18, 128, decode>, nullptr, nullptr};

}  // namespace hearth
