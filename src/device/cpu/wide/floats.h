#pragma once

// F32, F16, BF16: no blocks, rows of any length. Include a set's vec.h first.
#include "device/cpu/wide/dot.h"

namespace hearth::cpu {
namespace {

struct F32 {
  static constexpr uint32_t id = 0, bytes = 4;
  static Floats read(const uint8_t* p, Whole) { return load(reinterpret_cast<const float*>(p)); }
  static Floats read(const uint8_t* p, Part part) {
    return load_part(reinterpret_cast<const float*>(p), part.n);
  }
};

struct F16 {
  static constexpr uint32_t id = 1, bytes = 2;
  static Floats read(const uint8_t* p, Whole) { return load_f16(p); }
  static Floats read(const uint8_t* p, Part part) { return load_f16_part(p, part.n); }
};

struct BF16 {
  static constexpr uint32_t id = 30, bytes = 2;
  static Floats read(const uint8_t* p, Whole) { return load_bf16(p); }
  static Floats read(const uint8_t* p, Part part) { return load_bf16_part(p, part.n); }
};

template <class Type>
void decode_floats(const void* values, uint32_t n, float* out) {
  const auto* p = static_cast<const uint8_t*>(values);
  for_each(
      n, [&](uint32_t i, auto part) { store(out + i, Type::read(p + i * size_t{Type::bytes}, part), part); });
}

template <class Type, uint32_t rows>
inline void dot_floats(const uint8_t* w, size_t row_bytes, uint32_t cols, const float* x, float* y) {
  Floats acc[rows];
  for (uint32_t r = 0; r < rows; ++r) acc[r] = zero();
  for_each(cols, [&](uint32_t k, auto part) {
    const Floats v = load(x + k, part);
    const uint8_t* at = w + k * size_t{Type::bytes};
    for (uint32_t r = 0; r < rows; ++r) {
      prefetch(at + (r + rows) * row_bytes, 1);
      acc[r] = fma(Type::read(at + r * row_bytes, part), v, acc[r]);
    }
  });
  for (uint32_t r = 0; r < rows; ++r) y[r] = sum_lanes(acc[r]);
}

template <class Type>
void gemv_floats(const void* weights, size_t row_bytes, uint32_t rows, uint32_t cols, const float* x,
                 size_t x_stride, uint32_t count, float* y, size_t y_stride) {
  const auto* w = static_cast<const uint8_t*>(weights);
  if (count > 1) {
    const Blocks type = {1, Type::bytes, decode_floats<Type>};
    return gemv_many(type, w, row_bytes, rows, cols, x, x_stride, count, y, y_stride);
  }
  uint32_t r = 0;
  for (; r + 4 <= rows; r += 4) dot_floats<Type, 4>(w + r * row_bytes, row_bytes, cols, x, y + r);
  for (; r < rows; ++r) dot_floats<Type, 1>(w + r * row_bytes, row_bytes, cols, x, y + r);
}

template <class Type>
constexpr TypeKernels float_kernels_of() {
  return {Type::id, decode_floats<Type>, gemv_floats<Type>};
}

}  // namespace
}  // namespace hearth::cpu
