#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/half.h"
#include "device/cpu/portable/kernels.h"
#include "tensor/types.h"

namespace hearth::cpu::portable {
namespace {

constexpr uint32_t piece = 256;

void store_f32(const float* x, uint32_t head, void* out) { std::memcpy(out, x, head * sizeof(float)); }

void store_f16(const float* x, uint32_t head, void* out) {
  auto* to = static_cast<uint8_t*>(out);
  for (uint32_t i = 0; i < head; ++i) {
    const uint16_t bits = float_to_half(x[i]);
    std::memcpy(to + 2 * i, &bits, sizeof bits);
  }
}

// Writes d as a half and returns 1 / d of what was written, so that rounding d costs nothing; 0 for a zero,
// which has no sign.
float put_scale(float d, uint8_t* to) {
  const float written = half_to_float(float_to_half(std::clamp(d, -65504.0F, 65504.0F)));
  const uint16_t bits = written != 0.0F ? float_to_half(written) : uint16_t{0};
  std::memcpy(to, &bits, sizeof bits);
  return written != 0.0F ? 1.0F / written : 0.0F;
}

// To whole numbers within limits; a NaN becomes the lower one.
int clamped(float v, int low, int high) {
  if (!(v > static_cast<float>(low))) return low;
  return v >= static_cast<float>(high) ? high : static_cast<int>(v);
}

void store_q8_0(const float* x, uint32_t head, void* out) {
  auto* to = static_cast<uint8_t*>(out);
  for (uint32_t i = 0; i < head; i += 32, x += 32, to += 34) {
    const auto [low, high] = std::minmax_element(x, x + 32);
    const float f = put_scale(std::max(*high, -*low) / 127.0F, to);
    for (uint32_t j = 0; j < 32; ++j) {
      to[2 + j] = static_cast<uint8_t>(static_cast<int8_t>(clamped(std::nearbyint(x[j] * f), -127, 127)));
    }
  }
}

// The value of largest magnitude becomes −8 · d, the end of the range that has one step more.
void store_q4_0(const float* x, uint32_t head, void* out) {
  auto* to = static_cast<uint8_t*>(out);
  for (uint32_t i = 0; i < head; i += 32, x += 32, to += 18) {
    const auto [low, high] = std::minmax_element(x, x + 32);
    const float f = put_scale((*high > -*low ? *high : *low) / -8.0F, to);
    for (uint32_t j = 0; j < 16; ++j) {
      const int first = clamped(x[j] * f + 8.5F, 0, 15), second = clamped(x[j + 16] * f + 8.5F, 0, 15);
      to[2 + j] = static_cast<uint8_t>(first | (second << 4));
    }
  }
}

// `n` values of a head row, from its value `first`.
template <DType type>
void read(const void* row, uint32_t first, uint32_t n, float* out) {
  const TypeInfo& t = type_info(type);
  const std::byte* at = static_cast<const std::byte*>(row) + size_t{first} / t.block_values * t.block_bytes;
  t.decode({at, size_t{n} / t.block_values * t.block_bytes}, {out, n});
}

template <DType type>
void score(const void* k, size_t token_stride, uint32_t tokens, uint32_t head, const float* q,
           size_t q_stride, uint32_t queries, float* s, size_t s_stride) {
  std::array<float, piece> key;
  for (uint32_t t = 0; t < tokens; ++t) {
    const std::byte* row = static_cast<const std::byte*>(k) + t * token_stride;
    for (uint32_t i = 0; i < queries; ++i) s[i * s_stride + t] = 0.0F;
    for (uint32_t d = 0; d < head; d += piece) {
      const uint32_t n = std::min(piece, head - d);
      read<type>(row, d, n, key.data());
      for (uint32_t i = 0; i < queries; ++i) s[i * s_stride + t] += dot(key.data(), q + i * q_stride + d, n);
    }
  }
}

template <DType type>
void mix(const void* v, size_t token_stride, uint32_t tokens, uint32_t head, const float* p, size_t p_stride,
         uint32_t queries, float* acc, size_t acc_stride) {
  std::array<float, piece> value;
  for (uint32_t t = 0; t < tokens; ++t) {
    const std::byte* row = static_cast<const std::byte*>(v) + t * token_stride;
    for (uint32_t d = 0; d < head; d += piece) {
      const uint32_t n = std::min(piece, head - d);
      read<type>(row, d, n, value.data());
      for (uint32_t i = 0; i < queries; ++i) {
        const float weight = p[i * p_stride + t];
        float* to = acc + i * acc_stride + d;
        for (uint32_t j = 0; j < n; ++j) to[j] += weight * value[j];
      }
    }
  }
}

}  // namespace

const KvKernels kv[4] = {
    {store_f32, score<DType::f32>, mix<DType::f32>},
    {store_f16, score<DType::f16>, mix<DType::f16>},
    {store_q8_0, score<DType::q8_0>, mix<DType::q8_0>},
    {store_q4_0, score<DType::q4_0>, mix<DType::q4_0>},
};

}  // namespace hearth::cpu::portable
