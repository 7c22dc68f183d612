// The logic of the AMX product on any machine: the kernel's source compiled against a model of the tiles.
#define HEARTH_AMX_EMULATION
#include "device/cpu/amx/tiles.h"

#include <gtest/gtest.h>

#include "cpu_kernels_matmul.h"

namespace hearth::test {
namespace {

// The layout of table.h, spelled out.
void pack_panel(const float* w, size_t w_stride, uint32_t rows, uint32_t k, void* panel) {
  auto* to = static_cast<uint16_t*>(panel);
  for (uint32_t i = 0; i < k; ++i) {
    for (uint32_t r = 0; r < cpu::panel_rows; ++r) {
      to[(i / 2 * cpu::panel_rows + r) * 2 + i % 2] = float_to_bf16(r < rows ? w[r * w_stride + i] : 0.0F);
    }
  }
}

void pack_acts(const float* x, uint32_t row, uint32_t k, void* acts) {
  auto* block = static_cast<uint16_t*>(acts) + size_t{row / 16} * 16 * k;
  for (uint32_t c = 0; c < k; ++c) block[(c / 32 * 16 + row % 16) * 32 + c % 32] = float_to_bf16(x[c]);
}

const cpu::MatmulKernels emulated = {cpu::PanelFormat::bf16,
                                     16,
                                     cpu::tile_cols,
                                     pack_panel,
                                     pack_acts,
                                     cpu::run,
                                     cpu::enter,
                                     cpu::leave,
                                     nullptr};

TEST(CpuKernelsAmx, EmulatedTilesMultiplyAllShapes) {
  Random random(6);
  for (const uint32_t k : {32U, 96U, 320U}) {
    for (const uint32_t rows : {1U, 15U, 16U, 17U, 32U, 33U, 64U, 70U}) {
      for (const uint32_t m : {1U, 2U, 15U, 16U, 17U, 31U, 32U, 33U, 48U, 70U}) {
        expect_matmul(emulated, "amx (emulated)", {rows, m, k, m % 2 == 0}, random);
      }
    }
  }
}

TEST(CpuKernelsAmx, LeaveGivesTheTilesBack) {
  cpu::enter();
  EXPECT_TRUE(cpu::emulated_tiles.configured);
  cpu::leave();
  EXPECT_FALSE(cpu::emulated_tiles.configured);
}

TEST(CpuKernelsAmx, NativeTilesAreTestedWhereTheProcessorHasThem) {
  if (!cpu_features().amx) GTEST_SKIP() << "this processor has no AMX, or the system does not grant it";
  Random random(7);
  expect_matmul(*cpu::amx_table.matmul, "amx", {70, 70, 256, false}, random);
}

}  // namespace
}  // namespace hearth::test
