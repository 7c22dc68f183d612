// Several devices: what goes where, what is said of it, and what would fit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "support/model_numbers.h"

namespace hearth::test {
namespace {

using testing::HasSubstr;

Plan planned(const MemoryProfile& model, const std::vector<DeviceBudget>& devices, const Wish& wish) {
  const auto result = place(model, devices, wish);
  if (const auto* s = std::get_if<Shortfall>(&result)) ADD_FAILURE() << s->remedy();
  return std::get<Plan>(result);
}

uint32_t device_of(const Plan& plan, PartKind kind, uint16_t layer = 0) {
  for (const Placement& p : plan.parts) {
    if (p.kind == kind && p.layer == layer) return p.device;
  }
  ADD_FAILURE() << to_string(kind) << layer;
  return 99;
}

Wish of_context(uint32_t context, KvType kv = KvType::f16) { return {context, 1, 512, {kv, kv}}; }

TEST(Placement, WhatFitsOnOneCardStaysThere) {
  const Plan plan =
      planned(numbers({}), {card("a", 8 * gib), card("b", 24 * gib), host(64 * gib)}, of_context(8192));
  EXPECT_EQ(plan.layers_on(0), 32U);
  EXPECT_FALSE(plan.uses(1));
  EXPECT_FALSE(plan.uses(2));
  EXPECT_EQ(plan.crossing, 0U);
  EXPECT_TRUE(plan.notes.empty());
}

TEST(Placement, TheHeadIsOnTheFastestAndTheTableOnTheHost) {
  const Plan plan =
      planned(numbers({32, 140 * mib, 420 * mib, 280 * mib}),
              {card("slow", 2 * gib, 300e9), card("fast", 3 * gib, 900e9), host(64 * gib)}, of_context(2048));
  EXPECT_EQ(device_of(plan, PartKind::head), 1U);
  EXPECT_EQ(device_of(plan, PartKind::embed), 2U);
  EXPECT_GT(plan.layers_on(0), 9U);
  EXPECT_GT(plan.layers_on(1), plan.layers_on(0));
  EXPECT_GT(plan.layers_on(2), 0U);
  EXPECT_GT(plan.crossing, 0U);
  ASSERT_EQ(plan.notes.size(), 1U);
  EXPECT_THAT(plan.notes[0], HasSubstr("on cpu"));
}

TEST(Placement, ExpertsLeaveTheCardFirst) {
  // 40 GiB of experts, 5 GiB that every token reads, a card of 12 GiB.
  const Plan plan = planned(numbers({48, 60 * mib, 400 * mib, 300 * mib, 800 * mib, 4}),
                            {card("a", 12 * gib), host(64 * gib)}, of_context(8192));
  EXPECT_EQ(plan.layers_on(0), 48U);
  uint32_t on_card = 0, on_host = 0;
  for (const Placement& p : plan.parts) {
    if (p.kind == PartKind::experts) (p.device == 0 ? on_card : on_host) += 1;
  }
  EXPECT_GT(on_card, 3U);
  EXPECT_GT(on_host, 20U);
}

TEST(Placement, SpreadUsesEveryCardByItsMemory) {
  Wish wish = of_context(4096);
  wish.spread = true;
  const Plan plan = planned(numbers({}), {card("a", 24 * gib), card("b", 12 * gib), host(64 * gib)}, wish);
  EXPECT_NEAR(plan.layers_on(0), 21, 2);
  EXPECT_NEAR(plan.layers_on(1), 11, 2);
}

TEST(Placement, NumGpuCountsTheHeadFirst) {
  Wish wish = of_context(4096);
  for (const uint32_t n : {0U, 1U, 2U, 17U, 33U, 999U}) {
    wish.gpu_layers = n;
    const Plan plan = planned(numbers({}), {card("a", 24 * gib), host(64 * gib)}, wish);
    EXPECT_EQ(plan.layers_on(0), n == 0 ? 0 : std::min(32U, n - 1)) << n;
    EXPECT_EQ(device_of(plan, PartKind::head), n == 0 ? 1U : 0U) << n;
  }
  wish.gpu_layers = 20;
  const auto result = place(numbers({}), std::vector{card("a", 2 * gib), host(64 * gib)}, wish);
  const Shortfall& s = std::get<Shortfall>(result);
  ASSERT_FALSE(s.would_fit.empty());
  EXPECT_THAT(s.would_fit[0].text, HasSubstr("num_gpu "));
  EXPECT_LT(*s.would_fit[0].wish.gpu_layers, 20U);
}

TEST(Placement, MainGpuIsFilledFirst) {
  Wish wish = of_context(4096);
  wish.main_gpu = 1;
  const Plan plan = planned(numbers({}), {card("a", 24 * gib), card("b", 24 * gib, 400e9)}, wish);
  EXPECT_EQ(plan.layers_on(0) + plan.layers_on(1), 32U);
  wish.gpu_layers = std::nullopt;
  const Plan tight = planned(numbers({}), {card("a", 4 * gib), card("b", 4 * gib, 400e9)}, wish);
  EXPECT_EQ(device_of(tight, PartKind::head), 1U);
}

TEST(Placement, WhatACardRefusesGoesToTheHostAndIsSaid) {
  DeviceBudget a = card("a", 24 * gib);
  a.refusals.assign(34, "");
  a.refusals[5] = "tensor 'x' has a type without a kernel";
  Wish wish = of_context(4096);
  for (const auto layers : {std::optional<uint32_t>{}, std::optional<uint32_t>{999}}) {
    wish.gpu_layers = layers;
    const Plan plan = planned(numbers({}), {a, host(64 * gib)}, wish);
    if (layers) {
      EXPECT_EQ(plan.layers_on(1), 1U);
    }
    EXPECT_EQ(plan.parts[5].device, 1U);
    EXPECT_EQ(plan.parts[6].device, 0U);
    EXPECT_THAT(plan.notes, testing::Contains(HasSubstr("tensor 'x'")));
  }
}

TEST(Placement, ACacheTypeThatACardLacksIsNotPutThere) {
  DeviceBudget a = card("a", 24 * gib);
  a.kv = {{KvType::f16, KvType::f16}};
  const Plan plan = planned(numbers({}), {a, host(64 * gib)}, of_context(4096, KvType::q8_0));
  EXPECT_EQ(plan.layers_on(0), 0U);
}

// A page of a layer has 128 KiB here: four pieces of 64 MiB hold 2048 pages.
TEST(Placement, ALayersCacheInMorePiecesThanADriverTakesIsRefusedWithTheCause) {
  DeviceBudget a = card("a", 80 * gib);
  a.layer_cache = {64 * mib, 4};
  const MemoryProfile model = numbers({});
  EXPECT_EQ(planned(model, {a}, of_context(65536)).layers_on(0), 32U);
  const auto more = place(model, std::vector{a}, of_context(65536 + 32));
  ASSERT_TRUE(std::holds_alternative<Shortfall>(more));
  const Shortfall& s = std::get<Shortfall>(more);
  EXPECT_EQ(s.cause, "a layer's cache of 256 MiB: a takes 4 pieces of 64 MiB");
  ASSERT_FALSE(s.would_fit.empty());
  EXPECT_EQ(s.would_fit[0].text, "a q8_0 cache");
  EXPECT_EQ(largest_context(model, std::vector{a}, of_context(0)), 65536U);
  const Plan split = planned(model, {a, host(64 * gib)}, of_context(65536 + 32));
  EXPECT_EQ(split.layers_on(0), 0U);
  EXPECT_THAT(split.notes,
              testing::Contains(HasSubstr("more on the accelerators would take a layer's cache")));
}

TEST(Placement, APieceThatCannotBeCutTakesFewerRows) {
  DeviceBudget a = card("a", 80 * gib);
  a.largest_allocation = 64 * mib;  // the arena of 512 rows has 100 MiB
  const MemoryProfile model = numbers({});
  const Plan plan = planned(model, {a}, of_context(4096));
  EXPECT_EQ(plan.rows, 128U);
  EXPECT_EQ(plan.layers_on(0), 32U);
  a.largest_allocation = 8 * mib;
  const auto none = place(model, std::vector{a}, of_context(4096));
  ASSERT_TRUE(std::holds_alternative<Shortfall>(none));
  EXPECT_THAT(std::get<Shortfall>(none).cause, HasSubstr("arena of 100 MiB: a gives 8 MiB in one piece"));
}

TEST(Placement, AnIntegratedCardSharesTheHostsMemory) {
  DeviceBudget a = card("igpu", 6 * gib, 60e9);
  a.host_memory = true;
  const MemoryProfile model = numbers({});
  const auto plan = place(model, std::vector{a, host(3 * gib)}, of_context(2048));
  ASSERT_TRUE(std::holds_alternative<Plan>(plan));
  EXPECT_LE(std::get<Plan>(plan).anonymous(), 3 * gib + std::get<Plan>(plan).crossing);
}

// The figure of every forum: 8 billion weights of eight bits with 32 K context need 14.5 GB with an f16 cache
// and materialised scores, 11.65 GB with flash attention and a q8_0 cache. Nothing is materialised here.
TEST(Placement, EightBillionAt32K) {
  Numbers n;
  n.layer_bytes = static_cast<uint64_t>(218.1e6 * 1.0625);  // weights of 8.5 bits
  n.head_bytes = n.table_bytes = static_cast<uint64_t>(128256.0 * 4096 * 1.0625);
  const MemoryProfile model = numbers(n);
  EXPECT_NEAR(static_cast<double>(model.weights()), 8.53e9, 0.02e9);
  const std::vector roomy{card("a", 24 * gib)};
  const auto bytes = [&](KvType kv) {
    return static_cast<double>(planned(model, roomy, of_context(32768, kv)).anonymous());
  };
  EXPECT_LT(bytes(KvType::f16), 14.5e9);
  EXPECT_LT(bytes(KvType::q8_0), 11.65e9);
  EXPECT_GT(bytes(KvType::q8_0), 10.7e9);
  EXPECT_NEAR(bytes(KvType::f16) - bytes(KvType::q8_0), 32.0 * 8 * 32768 * 2 * (256 - 136), 1e6);
  // On a card of 12 GB only the second fits, and that is what the shortfall says first.
  const auto result = place(model, card("a", 12000ULL * 1000 * 1000), of_context(32768));
  const Shortfall& s = std::get<Shortfall>(result);
  ASSERT_FALSE(s.would_fit.empty());
  EXPECT_EQ(s.would_fit[0].text, "a q8_0 cache");
}

TEST(Placement, AContextThatNobodyAskedForGrowsOnACardOnly) {
  const MemoryProfile model = numbers({});
  const Plan big = planned(model, {card("a", 24 * gib)}, of_context(0));
  EXPECT_EQ(big.context, 32768U);
  EXPECT_LE(big.devices[0].anonymous(), 24 * gib / 5 * 4);
  EXPECT_EQ(planned(model, {host(64 * gib)}, of_context(0)).context, 8192U);
  EXPECT_EQ(planned(model, {card("a", 4 * gib), host(64 * gib)}, of_context(0)).context, 8192U);
}

TEST(Placement, APagesLimitRefusesWithNumbersAndFix) {
  // 12.3 GiB of file, 10 GiB of memory limit: the mapping would be read again and again.
  MemoryProfile model = numbers({32, 370 * mib, 755 * mib});
  DeviceBudget b = host(60 * gib);
  b.mapped_limit = 10 * gib;
  const auto result = place(model, b, of_context(4096));
  const Shortfall& s = std::get<Shortfall>(result);
  EXPECT_TRUE(s.mapped);
  EXPECT_GT(s.needed, 12 * gib);
  EXPECT_EQ(s.usable, 10 * gib);
  EXPECT_THAT(s.remedy(), HasSubstr("file of the model"));
  EXPECT_THAT(s.remedy(), HasSubstr("a memory limit of 12."));
}

TEST(Placement, SpeedFollowsBytesOverBandwidth) {
  const MemoryProfile model = numbers({});
  const Plan plan = planned(model, {card("a", 24 * gib, 900e9)}, of_context(4096));
  const double read = static_cast<double>(model.weights()) + 512.0 * 32 * 8 * 256 * 2;
  EXPECT_NEAR(plan.expected.generation, 900e9 / read, 1);
  EXPECT_LT(plan.expected.generation_full, plan.expected.generation);
  EXPECT_GT(plan.expected.prompt, 1000);
  EXPECT_TRUE(plan.expected.measured);
  DeviceBudget unknown = card("a", 24 * gib);
  unknown.rates = {};
  EXPECT_EQ(planned(model, {unknown}, of_context(4096)).expected.generation, 0);
}

// --- properties over random machines and models ---

struct Machine {
  MemoryProfile model;
  std::vector<DeviceBudget> devices;
  Wish wish;
};

Machine random_machine(std::mt19937& random) {
  const auto pick = [&](uint64_t low, uint64_t high) { return low + random() % (high - low + 1); };
  Machine m;
  Numbers n;
  n.layers = static_cast<uint32_t>(pick(1, 48));
  n.layer_bytes = pick(1, 300) * mib;
  n.head_bytes = pick(1, 900) * mib;
  n.table_bytes = random() % 2 == 0 ? 0 : n.head_bytes;
  n.expert_bytes = random() % 3 == 0 ? pick(10, 1000) * mib : 0;
  n.kv_heads = static_cast<uint32_t>(pick(1, 16));
  n.context = static_cast<uint32_t>(pick(512, 200000));
  m.model = numbers(n);
  for (uint64_t i = pick(0, 3); i > 0; --i) {
    m.devices.push_back(
        card("gpu" + std::to_string(i), pick(100, 30000) * mib, 1e9 * static_cast<double>(pick(50, 2000))));
    m.devices.back().overhead = random() % 3 == 0 ? pick(0, 500) * mib : 0;
    m.devices.back().host_memory = random() % 5 == 0;
  }
  if (m.devices.empty() || random() % 4 != 0) {
    m.devices.push_back(host(pick(100, 60000) * mib));
    if (random() % 3 == 0) m.devices.back().mapped_limit = pick(100, 60000) * mib;
    if (random() % 2 == 0) {
      for (const PartProfile& p : m.model.parts)
        m.devices.back().resident.push_back(p.kind == PartKind::embed ? 0 : p.weights + p.weights / 20);
    }
  }
  m.wish = {random() % 3 == 0 ? 0 : static_cast<uint32_t>(pick(32, n.context)),
            static_cast<uint32_t>(pick(1, 4)),
            static_cast<uint32_t>(pick(32, 512)),
            {}};
  m.wish.kv = random() % 2 == 0 ? KvTypes{} : KvTypes{KvType::q8_0, KvType::q4_0};
  m.wish.spread = random() % 4 == 0;
  if (random() % 5 == 0) m.wish.gpu_layers = static_cast<uint32_t>(pick(0, n.layers + 2));
  return m;
}

void expect_within(const Machine& m, const Plan& plan) {
  uint64_t shared = 0, host_room = UINT64_MAX;
  bool integrated = false;
  for (size_t d = 0; d < m.devices.size(); ++d) {
    const DeviceBudget& b = m.devices[d];
    const uint64_t taken = plan.devices[d].anonymous();
    EXPECT_LE(taken, b.usable - std::min(b.usable, b.overhead));
    if (b.mapped_limit != 0) {
      EXPECT_LE(taken + plan.devices[d].mapped(), b.mapped_limit);
    }
    if (b.maps_weights) host_room = b.usable;
    if (b.maps_weights || b.host_memory) shared += taken;
    integrated = integrated || b.host_memory;
    EXPECT_EQ(taken + plan.devices[d].mapped() > 0, plan.uses(static_cast<uint32_t>(d)));
  }
  if (integrated) {
    EXPECT_LE(shared, host_room);
  }
  EXPECT_EQ(plan.parts.size(), m.model.parts.size());
  for (const Placement& p : plan.parts) EXPECT_LT(p.device, m.devices.size());
  if (m.wish.context != 0) {
    EXPECT_EQ(plan.context, m.wish.context);
  }
}

TEST(PlacementProperties, NeverAboveABudget) {
  std::mt19937 random(5);
  int fitted = 0;
  for (int i = 0; i < 300; ++i) {
    const Machine m = random_machine(random);
    const auto result = place(m.model, m.devices, m.wish);
    if (const auto* plan = std::get_if<Plan>(&result)) {
      ++fitted;
      expect_within(m, *plan);
    }
    if (HasFailure()) FAIL() << "machine " << i;
  }
  EXPECT_GT(fitted, 75);
  EXPECT_LT(fitted, 295);
}

TEST(PlacementProperties, MoreMemoryNeverFitsLess) {
  std::mt19937 random(6);
  for (int i = 0; i < 120; ++i) {
    Machine m = random_machine(random);
    const auto fits = [&] { return std::holds_alternative<Plan>(place(m.model, m.devices, m.wish)); };
    const uint32_t most = largest_context(m.model, m.devices, m.wish);
    const bool before = fits();
    DeviceBudget& b = m.devices[random() % m.devices.size()];
    b.usable += 500 * mib;
    if (b.mapped_limit != 0) b.mapped_limit += 500 * mib;
    EXPECT_TRUE(!before || fits()) << "machine " << i;
    EXPECT_GE(largest_context(m.model, m.devices, m.wish), most) << "machine " << i;
  }
}

TEST(PlacementProperties, TheLargestContextFitsAndTheNextPageDoesNot) {
  std::mt19937 random(7);
  for (int i = 0; i < 100; ++i) {
    Machine m = random_machine(random);
    const uint32_t most = largest_context(m.model, m.devices, m.wish);
    for (const uint32_t context : {most, most + page_tokens}) {
      if (context == 0 || context > m.model.context) continue;
      m.wish.context = context;
      EXPECT_EQ(std::holds_alternative<Plan>(place(m.model, m.devices, m.wish)), context == most)
          << "machine " << i << ", context " << context;
    }
  }
}

TEST(PlacementProperties, WhatAShortfallSuggestsFits) {
  std::mt19937 random(8);
  int checked = 0;
  for (int i = 0; i < 300; ++i) {
    const Machine m = random_machine(random);
    const auto result = place(m.model, m.devices, m.wish);
    const auto* s = std::get_if<Shortfall>(&result);
    if (s == nullptr) continue;
    for (const Change& c : s->would_fit) {
      ++checked;
      auto devices = m.devices;
      MemoryProfile model = c.bits > 0 ? with_bits(m.model, c.bits) : m.model;
      if (c.bits > 0) {
        for (DeviceBudget& d : devices) d.resident.clear();  // a form of its own is not needed to fit
      }
      for (DeviceBudget& d : devices) {
        if (c.usable == 0 || c.text.find(s->mapped ? "limit" : d.device) == std::string::npos) continue;
        if (s->mapped && d.mapped_limit == 0) continue;
        d.usable = std::max(d.usable, c.usable);
        if (s->mapped) d.mapped_limit = c.usable;
      }
      EXPECT_TRUE(std::holds_alternative<Plan>(place(model, devices, c.wish)))
          << "machine " << i << ": " << c.text;
    }
  }
  EXPECT_GT(checked, 50);
}

}  // namespace
}  // namespace hearth::test
