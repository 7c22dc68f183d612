#include "plan/plan.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "plan/json.h"
#include "support/model_numbers.h"

namespace hearth {
namespace {

MemoryProfile profile_of_8b() { return test::numbers({}); }
constexpr uint64_t resident_layer = 150ULL << 20;
DeviceBudget weaving_host(uint64_t usable) {
  DeviceBudget b{"cpu", usable};
  b.resident.assign(34, resident_layer);
  b.resident.front() = 0;  // rows of the table are read where they lie
  return b;
}

TEST(Plan, CacheOfEightBillionAt32KIsFourGigabytes) {
  // 32 layers · 8 heads · 128 values · (K + V) · 2 bytes · 32,768 tokens = 4 GiB: the figure in every forum.
  const Wish wish{32768, 1, 512, {KvType::f16, KvType::f16}};
  const auto plan = std::get<Plan>(place(profile_of_8b(), DeviceBudget{"cpu", 64ULL << 30}, wish));
  EXPECT_EQ(plan.devices[0].of(BufferKind::kv), 4ULL << 30);
  EXPECT_EQ(plan.pages, std::vector<uint32_t>{1024});
  EXPECT_EQ(plan.rows, 512U);
}

TEST(Plan, QuantizedCacheIsSmaller) {
  const Wish wish{32768, 1, 512, {KvType::q8_0, KvType::q4_0}};
  const auto plan = std::get<Plan>(place(profile_of_8b(), DeviceBudget{"cpu", 64ULL << 30}, wish));
  EXPECT_EQ(plan.devices[0].of(BufferKind::kv), 32ULL * 8 * 32768 * (4 * 34 + 4 * 18));
}

TEST(Plan, FewerRowsBeforeARefusal) {
  const Wish wish{8192, 1, 512, {}};
  const uint64_t kv = 1ULL << 30;
  const auto plan = std::get<Plan>(place(profile_of_8b(), DeviceBudget{"cpu", kv + (60ULL << 20)}, wish));
  EXPECT_EQ(plan.rows, 128U);
  EXPECT_EQ(plan.context, 8192U);
}

TEST(Plan, AFreeContextShrinksWithANote) {
  const auto plan =
      std::get<Plan>(place(profile_of_8b(), DeviceBudget{"cpu", 700ULL << 20}, Wish{0, 1, 512, {}}));
  EXPECT_EQ(plan.context, 4096U);
  ASSERT_EQ(plan.notes.size(), 1U);
  EXPECT_NE(plan.notes[0].find("4096 instead of 8192"), std::string::npos);
}

TEST(Plan, AnAskedContextIsRefusedWithWhatWouldFit) {
  const auto shortfall =
      std::get<Shortfall>(place(profile_of_8b(), DeviceBudget{"cpu", 700ULL << 20}, Wish{8192, 1, 512, {}}));
  EXPECT_GT(shortfall.needed, shortfall.usable);
  ASSERT_EQ(shortfall.would_fit.size(), 3U);
  EXPECT_EQ(shortfall.would_fit[0].text, "a q8_0 cache");
  EXPECT_EQ(shortfall.would_fit[1].text, "a context of 5120 tokens");
  EXPECT_EQ(shortfall.would_fit[2].text, "1.1 GiB free on cpu");
  EXPECT_EQ(shortfall.remedy(),
            "would fit: a q8_0 cache, or a context of 5120 tokens, or 1.1 GiB free on cpu");
}

TEST(Plan, ACopyOfTheWeightsGivesWayBeforeTheContext) {
  const MemoryProfile p = profile_of_8b();
  const Wish wish{8192, 1, 512, {}};
  const auto roomy = std::get<Plan>(place(p, weaving_host(8ULL << 30), wish));
  const DeviceBuffers& held = roomy.devices[0];
  EXPECT_TRUE(held.copies_weights());
  EXPECT_EQ(held.anonymous() - held.of(BufferKind::kv) - (140ULL << 20) - held.of(BufferKind::results),
            33 * resident_layer);
  EXPECT_EQ(held.mapped(), p.parts.front().weights) << "the table stays in the file";
  EXPECT_TRUE(roomy.notes.empty());
  const auto tight = std::get<Plan>(place(p, weaving_host(2ULL << 30), wish));
  EXPECT_EQ(tight.context, 8192U);
  EXPECT_FALSE(tight.devices[0].copies_weights());
  EXPECT_EQ(tight.devices[0].mapped(), p.weights());
  ASSERT_EQ(tight.notes.size(), 1U);
  EXPECT_NE(tight.notes[0].find("mapping"), std::string::npos);
}

TEST(Plan, EveryPlanIsWithinItsBudget) {
  for (uint64_t mib = 20; mib < 9000; mib = mib * 3 / 2) {
    for (const uint32_t parallel : {1U, 3U, 8U}) {
      const DeviceBudget budget{"cpu", mib << 20};
      const auto result = place(profile_of_8b(), budget, {0, parallel, 512, {}});
      if (const auto* plan = std::get_if<Plan>(&result)) {
        EXPECT_LE(plan->devices[0].anonymous(), budget.usable);
        EXPECT_GE(plan->context, 512U);
        EXPECT_EQ(plan->pages[0], plan->context / page_tokens * parallel);
      } else {
        EXPECT_GT(std::get<Shortfall>(result).needed, budget.usable);
      }
    }
  }
}

// Requests that nobody counted share as many tokens as a default context has, where that costs little.
TEST(Plan, SmallContextsShareAPoolWhereNobodyCountsRequests) {
  const auto parallel = [](uint32_t context, uint32_t wished, DeviceBudget budget) {
    const auto plan = std::get<Plan>(place(profile_of_8b(), budget, Wish{context, wished, 512, {}}));
    EXPECT_EQ(plan.context, context);
    EXPECT_EQ(plan.pages[0], context / page_tokens * plan.parallel);
    EXPECT_LE(plan.devices[0].anonymous(), budget.usable);
    return plan.parallel;
  };
  const DeviceBudget roomy{"cpu", 64ULL << 30};
  EXPECT_EQ(parallel(1024, 0, roomy), 8U);
  EXPECT_EQ(parallel(512, 0, roomy), 16U);
  EXPECT_EQ(parallel(3072, 0, roomy), 2U);
  EXPECT_EQ(parallel(8192, 0, roomy), 1U);
  EXPECT_EQ(parallel(32768, 0, roomy), 1U);
  EXPECT_EQ(parallel(1024, 1, roomy), 1U) << "who counts gets what he counts";
  EXPECT_EQ(parallel(1024, 3, roomy), 3U);
  // 128 KiB per token: seven contexts more are 896 MiB, three 384 MiB, one 128 MiB.
  EXPECT_EQ(parallel(1024, 0, {"cpu", 13ULL << 30}), 4U) << "a 32nd is 416 MiB";
  EXPECT_EQ(parallel(1024, 0, {"cpu", 5ULL << 30}), 2U);
  EXPECT_EQ(parallel(1024, 0, {"cpu", 1ULL << 30}), 1U);
  EXPECT_TRUE(std::get<Plan>(place(profile_of_8b(), weaving_host(6ULL << 30), Wish{1024, 0, 512, {}}))
                  .devices[0]
                  .copies_weights())
      << "a larger pool does not cost the copy of the weights";
}

TEST(Plan, StatesAloneServeSixteenRequestsWhereNobodyCounts) {
  MemoryProfile model = profile_of_8b();
  model.caches = {{32, 0, 0, 0, 100'000}};
  const auto plan = std::get<Plan>(place(model, DeviceBudget{"cpu", 8ULL << 30}, Wish{8192, 0, 512, {}}));
  EXPECT_EQ(plan.parallel, 16U);
  EXPECT_EQ(plan.pages, std::vector<uint32_t>{32});
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

// A layer that carries a state keeps nothing per token: two states per request, however long the context.
TEST(Plan, StatesAreCountedPerRequestAndSurviveTheWire) {
  MemoryProfile model = profile_of_8b();
  model.caches.push_back({3, 0, 0, 0, 1000});
  for (uint32_t p = 1; p <= 3; ++p) model.parts[p].caches = {1};
  const MemoryProfile other = profile_of(json::parse(json::serialize(to_json(model))));
  ASSERT_EQ(other.caches.size(), 2U);
  EXPECT_EQ(other.caches[1].state, 1000U);
  EXPECT_EQ(other.caches[1].layers, 3U);
  for (const uint32_t context : {4096U, 8192U}) {
    const Wish wish{context, 2, 512, {KvType::f16, KvType::f16}};
    const auto plan = std::get<Plan>(place(other, DeviceBudget{"cpu", 64ULL << 30}, wish));
    EXPECT_EQ(plan.pages, (std::vector<uint32_t>{2 * context / page_tokens, 4}));
    // 29 layers · 8 heads · 128 values · (K + V) · 2 bytes, and states of 1000 bytes in lines of 64.
    EXPECT_EQ(plan.devices[0].of(BufferKind::kv), 29ULL * 8 * 128 * 2 * 2 * 2 * context + 4ULL * 3 * 1024);
  }
}

}  // namespace
}  // namespace hearth
