#include <algorithm>
#include <array>

#include "device/cpu/portable/kernels.h"
#include "tensor/lanes.h"
#include "tensor/types.h"

namespace hearth::cpu::portable {
namespace {

constexpr uint32_t piece = 256;  // values decoded at a time; every block size divides it

template <DType type>
void decode(const void* blocks, uint32_t values, float* out) {
  const TypeInfo& t = type_info(type);
  const size_t bytes = size_t{values} / t.block_values * t.block_bytes;
  t.decode({static_cast<const std::byte*>(blocks), bytes}, {out, values});
}

// One weight row with all activations: each piece of it is decoded once.
void product(const TypeInfo& type, const std::byte* row, uint32_t cols, const float* x, size_t x_stride,
             uint32_t count, float* y, size_t y_stride) {
  std::array<float, piece> w;
  for (uint32_t n = 0; n < count; ++n) y[n * y_stride] = 0.0F;
  for (uint32_t k = 0; k < cols; k += piece) {
    const uint32_t some = std::min(piece, cols - k);
    const std::byte* block = row + size_t{k} / type.block_values * type.block_bytes;
    type.decode({block, size_t{some} / type.block_values * type.block_bytes}, {w.data(), some});
    for (uint32_t n = 0; n < count; ++n) y[n * y_stride] += dot(w.data(), x + n * x_stride + k, some);
  }
}

template <DType type>
void gemv(const void* weights, size_t row_bytes, uint32_t rows, uint32_t cols, const float* x,
          size_t x_stride, uint32_t count, float* y, size_t y_stride) {
  const TypeInfo& t = type_info(type);
  for (uint32_t r = 0; r < rows; ++r) {
    const std::byte* row = static_cast<const std::byte*>(weights) + r * row_bytes;
    product(t, row, cols, x, x_stride, count, y + r, y_stride);
  }
}

template <DType... type>
constexpr std::array<TypeKernels, sizeof...(type)> kernels_of() {
  return {TypeKernels{static_cast<uint32_t>(type), decode<type>, gemv<type>}...};
}

// Every type with a decode, once more: a table of plain functions needs them at compile time, and a constant
// is there before anything else of the program runs. A test compares the list with all_types().
constexpr auto list =
    kernels_of<DType::f32, DType::f16, DType::q4_0, DType::q4_1, DType::q5_0, DType::q5_1, DType::q8_0,
               DType::q2_k, DType::q3_k, DType::q4_k, DType::q5_k, DType::q6_k, DType::iq2_xxs, DType::iq2_xs,
               DType::iq3_xxs, DType::iq1_s, DType::iq4_nl, DType::iq3_s, DType::iq2_s, DType::iq4_xs,
               DType::iq1_m, DType::bf16, DType::tq1_0, DType::tq2_0, DType::mxfp4, DType::nvfp4, DType::q1_0,
               DType::q2_0>();

}  // namespace

float dot(const float* a, const float* b, uint32_t n) {
  Lanes low = lanes(0), high = lanes(0);
  uint32_t i = 0;
  for (; i + 8 <= n; i += 8) {
    low += load(a + i) * load(b + i);
    high += load(a + i + 4) * load(b + i + 4);
  }
  if (i < n) {
    std::array<float, 8> rest_a{}, rest_b{};
    std::copy_n(a + i, n - i, rest_a.data());
    std::copy_n(b + i, n - i, rest_b.data());
    low += load(rest_a.data()) * load(rest_b.data());
    high += load(rest_a.data() + 4) * load(rest_b.data() + 4);
  }
  const Lanes all = low + high;
  return (all[0] + all[2]) + (all[1] + all[3]);
}

}  // namespace hearth::cpu::portable

namespace hearth::cpu {

const CpuTable portable_table = {
    "portable",
    portable::list.data(),
    portable::list.size(),
    &portable::matmul,
    {&portable::kv[0], &portable::kv[1], &portable::kv[2], &portable::kv[3]},
    &portable::rows,
    nullptr,
    0,
    nullptr,
    &portable::attend,
    &portable::peak,
    &portable::state,
};

}  // namespace hearth::cpu
