// The products of panels of every set against sums in double.
#include <gtest/gtest.h>

#include "base/half.h"
#include "cpu_kernels.h"
#include "cpu_kernels_matmul.h"

namespace hearth::test {
namespace {

TEST(CpuKernelsMatmul, AllShapes) {
  Random random(4);
  for (const cpu::CpuTable* table : runnable_sets()) {
    if (table->matmul == nullptr) continue;
    for (const uint32_t k : {32U, 64U, 96U, 416U}) {
      for (const uint32_t rows : {1U, 7U, 8U, 9U, 16U, 17U, 32U, 41U, 64U}) {
        for (const uint32_t m : {1U, 2U, 5U, 12U, 13U, 16U, 31U, 32U, 33U, 47U, 70U}) {
          for (const bool accumulate : {false, true}) {
            expect_matmul(*table->matmul, table->name, {rows, m, k, accumulate}, random);
          }
        }
      }
    }
  }
}

TEST(CpuKernelsMatmul, PanelsHoldEachWeightAndZeros) {
  Random random(5);
  for (const cpu::CpuTable* table : runnable_sets()) {
    if (table->matmul == nullptr) continue;
    const cpu::MatmulKernels& kernels = *table->matmul;
    for (const uint32_t rows : {1U, 8U, 11U, 16U}) {
      constexpr uint32_t k = 64, stride = 71;
      Guarded<float> w((rows - 1) * stride + k);
      random.fill(w);
      const size_t number = kernels.format == cpu::PanelFormat::bf16 ? 2 : 4;
      Guarded<std::byte> panel(cpu::panel_rows * k * number);
      kernels.pack_panel(w.data(), stride, rows, k, panel.data());
      for (uint32_t r = 0; r < cpu::panel_rows; ++r) {
        for (uint32_t i = 0; i < k; ++i) {
          const float expected = r < rows ? w[r * stride + i] : 0.0F;
          ASSERT_EQ(panel_value(kernels.format, panel.data(), i, r), rounded(kernels.format, expected))
              << table->name << " row " << r << " column " << i;
        }
      }
    }
  }
}

// The short way from rows to a panel gives what decoding and packing give, to the bit.
TEST(CpuKernelsMatmul, ConvertedRowsAreThoseThatWereDecodedAndPacked) {
  Random random(6);
  constexpr uint32_t k = 96, first = 32, width = 64;
  for (const cpu::CpuTable* table : runnable_sets()) {
    if (table->matmul == nullptr || table->matmul->convert == nullptr) continue;
    const cpu::MatmulKernels& kernels = *table->matmul;
    for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
      const TypeInfo& info = type_info(type);
      for (const uint32_t rows : {1U, 11U, 16U}) {
        std::vector<float> values(size_t{rows} * k), decoded(values.size());
        random.fill(values, -3.0F, 3.0F);
        const size_t row_bytes = k * info.block_bytes;
        Guarded<std::byte> w(rows * row_bytes), wanted(cpu::panel_rows * width * 2), found(wanted.size());
        for (uint32_t i = 0; i < values.size(); ++i) {
          const uint16_t half = type == DType::f16 ? float_to_half(values[i]) : float_to_bf16(values[i]);
          std::memcpy(w.data() + i * info.block_bytes,
                      type == DType::f32 ? static_cast<const void*>(&values[i]) : &half, info.block_bytes);
        }
        info.decode({w.data(), w.size()}, decoded);
        kernels.pack_panel(decoded.data() + first, k, rows, width, wanted.data());
        kernels.convert[static_cast<uint32_t>(type)](w.data() + first * info.block_bytes, row_bytes, rows,
                                                     width, found.data());
        ASSERT_EQ(std::memcmp(found.data(), wanted.data(), wanted.size()), 0)
            << table->name << " " << info.name << " " << rows << " rows";
      }
    }
  }
}

}  // namespace
}  // namespace hearth::test
