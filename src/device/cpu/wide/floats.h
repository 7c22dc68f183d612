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

// y[m][r] = Σ_k w[r][k] · x[m][k]; the rows that come next are asked for on the way.
template <class Type, uint32_t rows, uint32_t columns>
void dot_floats(const uint8_t* w, size_t row_bytes, uint32_t cols, const float* x, size_t x_stride, float* y,
                size_t y_stride) {
  Floats acc[rows][columns];
  for (auto& row : acc) {
    for (Floats& a : row) a = zero();
  }
  for_each(cols, [&](uint32_t k, auto part) {
    Floats v[columns];
    for (size_t m = 0; m < columns; ++m) v[m] = load(x + m * x_stride + k, part);
    const uint8_t* at = w + k * size_t{Type::bytes};
    for (size_t r = 0; r < rows; ++r) {
      prefetch(at + (r + rows) * row_bytes, 1);
      const Floats weights = Type::read(at + r * row_bytes, part);
      for (size_t m = 0; m < columns; ++m) acc[r][m] = fma(weights, v[m], acc[r][m]);
    }
  });
  for (size_t r = 0; r < rows; ++r) {
    for (size_t m = 0; m < columns; ++m) y[m * y_stride + r] = sum_lanes(acc[r][m]);
  }
}

template <class Type, uint32_t columns>
void gemv_few_floats(const uint8_t* w, size_t row_bytes, uint32_t rows, uint32_t cols, const float* x,
                     size_t x_stride, float* y, size_t y_stride) {
  constexpr uint32_t step = columns == 1 ? 4 : dot_rows;
  uint32_t r = 0;
  for (; r + step <= rows; r += step) {
    dot_floats<Type, step, columns>(w + r * row_bytes, row_bytes, cols, x, x_stride, y + r, y_stride);
  }
  for (; r < rows; ++r) {
    dot_floats<Type, 1, columns>(w + r * row_bytes, row_bytes, cols, x, x_stride, y + r, y_stride);
  }
}

template <class Type>
void gemv_floats(const void* weights, size_t row_bytes, uint32_t rows, uint32_t cols, const float* x,
                 size_t x_stride, uint32_t count, float* y, size_t y_stride) {
  const auto* w = static_cast<const uint8_t*>(weights);
  switch (count) {
    case 1: return gemv_few_floats<Type, 1>(w, row_bytes, rows, cols, x, x_stride, y, y_stride);
    case 2: return gemv_few_floats<Type, 2>(w, row_bytes, rows, cols, x, x_stride, y, y_stride);
    case 3: return gemv_few_floats<Type, 3>(w, row_bytes, rows, cols, x, x_stride, y, y_stride);
    case 4: return gemv_few_floats<Type, 4>(w, row_bytes, rows, cols, x, x_stride, y, y_stride);
    default: break;
  }
  gemv_many({1, Type::bytes, decode_floats<Type>}, w, row_bytes, rows, cols, x, x_stride, count, y, y_stride);
}

template <class Type>
constexpr TypeKernels float_kernels_of() {
  return {Type::id, decode_floats<Type>, gemv_floats<Type>};
}

}  // namespace
}  // namespace hearth::cpu
