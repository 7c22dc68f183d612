#include "hardware/budgets.h"

#include <gtest/gtest.h>

namespace hearth {
namespace {

ProbeVerdict card() {
  ProbeVerdict v;
  v.backend = "vulkan";
  v.device = "vulkan0";
  v.kind = "discrete";
  v.outcome = ProbeOutcome::passed;
  v.rates = {400, 9000, 700};
  v.memory.largest_allocation = 2ULL << 30;
  v.memory.layer_cache = {1ULL << 30, 4};
  for (const char* type : {"f32", "f16", "q8_0", "q4_0"})
    v.variants.push_back({"attend", 128, type, type, true});
  return v;
}

TEST(Budgets, CarryWhatTheProbeMeasured) {
  const DeviceBudget b = budget_of(card());
  EXPECT_EQ(b.device, "vulkan0");
  EXPECT_FALSE(b.maps_weights);
  EXPECT_FALSE(b.host_memory);
  EXPECT_EQ(b.usable, 0U) << "asked at each load";
  EXPECT_EQ(b.overhead, 256U << 20);
  EXPECT_EQ(b.largest_allocation, 2ULL << 30);
  EXPECT_EQ(b.layer_cache, (PieceLimit{1ULL << 30, 4}));
  EXPECT_NEAR(b.rates.memory, 0.85 * 400e9, 1);
  EXPECT_EQ(b.rates.flops, 9000e9);
  EXPECT_TRUE(b.rates.measured);
  EXPECT_TRUE(b.kv.empty()) << "all types";
}

TEST(Budgets, NameTheTypesOfCacheThatCameOutRight) {
  ProbeVerdict v = card();
  v.variants[3].passed = false;
  v.variants[3].cause = "wrong: row 0 column 0 is 7 instead of 1";
  v.variants[2].passed = false;
  v.variants[2].cause = "not tried: time was up";
  const DeviceBudget b = budget_of(v);
  EXPECT_EQ(b.kv.size(), 9U);
  for (const KvTypes kv : b.kv) EXPECT_TRUE(kv.k != KvType::q4_0 && kv.v != KvType::q4_0);
}

TEST(Budgets, OfTheProcessorAndOfAnIntegratedDevice) {
  ProbeVerdict v = card();
  v.backend = v.device = v.kind = "cpu";
  EXPECT_TRUE(budget_of(v).maps_weights);
  EXPECT_FALSE(budget_of(v).host_memory);
  EXPECT_EQ(budget_of(v).overhead, 0U);
  v = card();
  v.kind = "integrated";
  EXPECT_TRUE(budget_of(v).host_memory);
}

}  // namespace
}  // namespace hearth
