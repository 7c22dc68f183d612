// Sets of kernels tried in a child process.
#include "device/cpu/trial.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cpu_kernels.h"
#include "device/device.h"

namespace hearth::test {
namespace {

TEST(CpuTrial, EverySetOfThisMachineWorks) {
  for (const cpu::CpuTable* table : runnable_sets()) EXPECT_TRUE(cpu::works(*table)) << table->name;
  EXPECT_EQ(cpu::tried_features().avx2, cpu_features().avx2);
  EXPECT_EQ(cpu::tried_features().avx512, cpu_features().avx512);
  EXPECT_EQ(cpu::tried_features().amx, cpu_features().amx);
  EXPECT_EQ(open_cpu_device({})->info().notes, cpu::tried_features().notes);
}

TEST(CpuTrial, AKernelThatTrapsOrIsWrongEndsItsChildOnly) {
  cpu::MatmulKernels matmul = *cpu::portable_table.matmul;
  cpu::CpuTable table = cpu::portable_table;
  table.matmul = &matmul;
  EXPECT_TRUE(cpu::works(table));
  matmul.run = [](const void*, uint32_t, const void*, uint32_t, uint32_t, float*, size_t, bool,
                  const cpu::Meanwhile*) { __builtin_trap(); };
  EXPECT_FALSE(cpu::works(table));
  matmul.run = [](const void*, uint32_t, const void*, uint32_t, uint32_t, float* y, size_t, bool,
                  const cpu::Meanwhile*) { *y = 0.5F; };
  EXPECT_FALSE(cpu::works(table));
}

TEST(CpuTrial, RowsThatDependOnEachOtherAreNoticed) {
  cpu::PackedKernels packed = {
      2,
      [](const void*, uint32_t rows, uint32_t, const void*, uint32_t count, float* y, size_t stride) {
        for (uint32_t m = 0; m < count; ++m) std::fill_n(y + m * stride, rows, 1.0F);
      },
      32};
  cpu::CpuTable table = cpu::portable_table;
  table.packed = &packed;
  table.packed_count = 1;
  EXPECT_TRUE(cpu::works(table));
  packed.product = [](const void*, uint32_t rows, uint32_t, const void*, uint32_t count, float* y,
                      size_t stride) {
    for (uint32_t m = 0; m < count; ++m) std::fill_n(y + m * stride, rows, static_cast<float>(count));
  };
  EXPECT_FALSE(cpu::works(table));
}

TEST(CpuTrial, WhatFailsIsTakenAwayDownToWhatWorks) {
  CpuFeatures all;
  all.avx2 = all.avx512 = all.avx512vnni = all.avx512bf16 = all.amx = true;
  std::vector<std::string> asked;
  const CpuFeatures left = cpu::tried(all, [&](const cpu::CpuTable& table) {
    asked.emplace_back(table.name);
    return asked.back() == "avx512vnni";
  });
  EXPECT_THAT(asked, testing::ElementsAre("amx", "avx512bf16", "avx512vnni"));
  EXPECT_FALSE(left.amx || left.avx512bf16);
  EXPECT_TRUE(left.avx512vnni && left.avx512 && left.avx2);
  EXPECT_THAT(left.notes, testing::ElementsAre(testing::HasSubstr("amx"), testing::HasSubstr("avx512bf16")));
}

}  // namespace
}  // namespace hearth::test
