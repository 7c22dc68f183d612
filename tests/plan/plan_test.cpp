#include "plan/plan.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace hearth {
namespace {

MemoryProfile profile_of_8b() {
  MemoryProfile p;
  p.name = "8b";
  p.weights = 4900ULL << 20;
  p.context = 131072;
  p.result_row = 128256 * 4;
  p.caches = {{32, 8, 128, 128}};
  p.steps = {{32, 10 << 20, 5 << 20}, {512, 100 << 20, 40 << 20}};
  return p;
}

TEST(Plan, CacheOfEightBillionAt32KIsFourGigabytes) {
  // 32 layers · 8 heads · 128 values · (K + V) · 2 bytes · 32,768 tokens = 4 GiB: the figure in every forum.
  const Wish wish{32768, 1, 512, {KvType::f16, KvType::f16}};
  const auto plan = std::get<Plan>(place(profile_of_8b(), {"cpu", 64ULL << 30, true}, wish));
  EXPECT_EQ(plan.device.of(BufferKind::kv), 4ULL << 30);
  EXPECT_EQ(plan.pages, std::vector<uint32_t>{1024});
  EXPECT_EQ(plan.rows, 512U);
}

TEST(Plan, QuantizedCacheIsSmaller) {
  const Wish wish{32768, 1, 512, {KvType::q8_0, KvType::q4_0}};
  const auto plan = std::get<Plan>(place(profile_of_8b(), {"cpu", 64ULL << 30, true}, wish));
  EXPECT_EQ(plan.device.of(BufferKind::kv), 32ULL * 8 * 32768 * (4 * 34 + 4 * 18));
}

TEST(Plan, FewerRowsBeforeARefusal) {
  const Wish wish{8192, 1, 512, {}};
  const uint64_t kv = 1ULL << 30;
  const auto plan = std::get<Plan>(place(profile_of_8b(), {"cpu", kv + (60ULL << 20), true}, wish));
  EXPECT_EQ(plan.rows, 32U);
  EXPECT_EQ(plan.context, 8192U);
}

TEST(Plan, AFreeContextShrinksWithANote) {
  const auto plan = std::get<Plan>(place(profile_of_8b(), {"cpu", 700ULL << 20, true}, {0, 1, 512, {}}));
  EXPECT_EQ(plan.context, 4096U);
  ASSERT_EQ(plan.notes.size(), 1U);
  EXPECT_NE(plan.notes[0].find("4096 instead of 8192"), std::string::npos);
}

TEST(Plan, AnAskedContextIsRefusedWithWhatWouldFit) {
  const auto shortfall =
      std::get<Shortfall>(place(profile_of_8b(), {"cpu", 700ULL << 20, true}, {8192, 1, 512, {}}));
  EXPECT_GT(shortfall.needed, shortfall.usable);
  ASSERT_EQ(shortfall.would_fit.size(), 2U);
  EXPECT_EQ(shortfall.would_fit[0], "a q8_0 cache");
  EXPECT_EQ(shortfall.would_fit[1], "a context of 4096 tokens");
}

TEST(Plan, ACopyOfTheWeightsGivesWayBeforeTheContext) {
  MemoryProfile p = profile_of_8b();
  p.resident = 5000ULL << 20;
  const Wish wish{8192, 1, 512, {}};
  const auto roomy = std::get<Plan>(place(p, {"cpu", 8ULL << 30, true}, wish));
  EXPECT_EQ(roomy.device.of(BufferKind::weights), p.resident);
  EXPECT_EQ(roomy.device.anonymous() - roomy.device.of(BufferKind::kv) - (140ULL << 20) -
                roomy.device.of(BufferKind::results),
            p.resident);
  EXPECT_TRUE(roomy.notes.empty());
  const auto tight = std::get<Plan>(place(p, {"cpu", 2ULL << 30, true}, wish));
  EXPECT_EQ(tight.context, 8192U);
  EXPECT_EQ(tight.device.of(BufferKind::weights), p.weights);
  ASSERT_EQ(tight.notes.size(), 1U);
  EXPECT_NE(tight.notes[0].find("mapping"), std::string::npos);
}

TEST(Plan, EveryPlanIsWithinItsBudget) {
  for (uint64_t mib = 20; mib < 9000; mib = mib * 3 / 2) {
    for (const uint32_t parallel : {1U, 3U, 8U}) {
      const DeviceBudget budget{"cpu", mib << 20, true};
      const auto result = place(profile_of_8b(), budget, {0, parallel, 512, {}});
      if (const auto* plan = std::get_if<Plan>(&result)) {
        EXPECT_LE(plan->device.anonymous(), budget.usable);
        EXPECT_GE(plan->context, 512U);
        EXPECT_EQ(plan->pages[0], plan->context / page_tokens * parallel);
      } else {
        EXPECT_GT(std::get<Shortfall>(result).needed, budget.usable);
      }
    }
  }
}

TEST(Plan, UnknownCacheTypeIsRefusedByName) {
  EXPECT_EQ(find_kv_type("q8_0"), KvType::q8_0);
  try {
    find_kv_type("q3");
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(e.message.find("q3"), std::string::npos);
  }
}

}  // namespace
}  // namespace hearth
