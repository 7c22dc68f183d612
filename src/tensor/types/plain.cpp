// Types that are not quantized.
#include <bit>

#include "tensor/types/block.h"
#include "tensor/types/list.h"

namespace hearth {
namespace {

void decode_f32(std::span<const std::byte> in, std::span<float> out) {
  std::memcpy(out.data(), in.data(), out.size_bytes());
}
void encode_f32(std::span<const float> in, std::span<const float>, std::span<std::byte> out) {
  std::memcpy(out.data(), in.data(), in.size_bytes());
}
void decode_f16(std::span<const std::byte> in, std::span<float> out) {
  for (size_t i = 0; i < out.size(); ++i) out[i] = f16(in.data() + 2 * i);
}
void encode_f16(std::span<const float> in, std::span<const float>, std::span<std::byte> out) {
  for (size_t i = 0; i < in.size(); ++i) put_f16(out.data() + 2 * i, in[i]);
}
void decode_bf16(std::span<const std::byte> in, std::span<float> out) {
  for (size_t i = 0; i < out.size(); ++i) out[i] = bf16_to_float(u16(in.data() + 2 * i));
}
void encode_bf16(std::span<const float> in, std::span<const float>, std::span<std::byte> out) {
  for (size_t i = 0; i < in.size(); ++i) {
    const uint16_t bits = float_to_bf16(in[i]);
    std::memcpy(out.data() + 2 * i, &bits, sizeof bits);
  }
}

// These have nothing to search: rounding is the best there is.
using Encode = void(std::span<const float>, std::span<const float>, std::span<std::byte>);
template <Encode* encode>
void round_by(std::span<const float> in, std::span<std::byte> out) {
  encode(in, {}, out);
}

}  // namespace

const TypeInfo f32_type{DType::f32, "F32", 1, 4, decode_f32, encode_f32, round_by<encode_f32>};
const TypeInfo f16_type{DType::f16, "F16", 1, 2, decode_f16, encode_f16, round_by<encode_f16>};
const TypeInfo bf16_type{DType::bf16, "BF16", 1, 2, decode_bf16, encode_bf16, round_by<encode_bf16>};

// Known to the format, never multiplied with.
const TypeInfo f64_type{DType::f64, "F64", 1, 8, nullptr, nullptr, nullptr};
const TypeInfo i8_type{DType::i8, "I8", 1, 1, nullptr, nullptr, nullptr};
const TypeInfo i16_type{DType::i16, "I16", 1, 2, nullptr, nullptr, nullptr};
const TypeInfo i32_type{DType::i32, "I32", 1, 4, nullptr, nullptr, nullptr};
const TypeInfo i64_type{DType::i64, "I64", 1, 8, nullptr, nullptr, nullptr};
const TypeInfo q8_1_type{DType::q8_1, "Q8_1", 32, 36, nullptr, nullptr, nullptr};
const TypeInfo q8_k_type{DType::q8_k, "Q8_K", 256, 292, nullptr, nullptr, nullptr};

}  // namespace hearth
