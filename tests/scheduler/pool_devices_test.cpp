// Several models on cards: who stays is decided by what their plans say.
#include <gtest/gtest.h>

#include "fake_world.h"
#include "support/model_numbers.h"

namespace hearth {
namespace {

using namespace std::chrono_literals;
using test::FakeWorld;
using test::gib;
using test::Listener;
using test::mib;
using test::question;

class DevicesTest : public testing::Test {
 protected:
  explicit DevicesTest(std::vector<DeviceBudget> devices = {test::card("gpu", 24 * gib), test::host(0)}) {
    SchedulerPolicy policy;
    policy.most_loaded = 9;
    policy.devices = std::move(devices);
    world_ = std::make_unique<FakeWorld>(policy);
    world_->available = 64 * gib;
  }

  // A model of so many GiB that keeps its cache in f16.
  static ModelSpec sized(const std::string& name, double size, uint32_t context) {
    test::Numbers n;
    n.layer_bytes = static_cast<uint64_t>(size * static_cast<double>(gib)) / 35;
    n.head_bytes = 3 * n.layer_bytes;
    ModelSpec spec = test::model(name, context);
    spec.automatic_context = context == 0;
    spec.load.wish.context = context;
    auto survey = std::make_shared<from_child::Surveyed>();
    survey->profile = test::numbers(n);
    survey->budgets = {test::card("gpu", 0), test::host(0)};
    spec.survey = survey;
    return spec;
  }

  // Asks, lets the worker load what its own plan says, and answers.
  Plan serve(const ModelSpec& spec) {
    Listener l;
    const RequestId id = world_->pool.submit(spec, question(), forever, l.sink());
    world_->run();
    test::FakeWorker& worker = world_->worker_of(spec.load.path);
    const std::vector<DeviceBudget> budgets = worker.load.budgets;
    std::vector<DeviceBudget> mine = budgets;
    for (DeviceBudget& b : mine) b.usable = b.maps_weights ? 64 * gib : b.usable;
    const auto plan = std::get<Plan>(place(spec.survey->profile, mine, worker.load.wish));
    if (!worker.loaded) {
      from_child::Ready ready;
      ready.model = spec.name;
      ready.context = plan.context;
      for (uint32_t d = 0; d < plan.devices.size(); ++d) {
        if (plan.uses(d)) ready.held.push_back(plan.devices[d]);
      }
      worker.loaded = true;
      worker.say(ready);
    }
    worker.done(id);
    world_->run();
    EXPECT_TRUE(l.done("stop")) << spec.name;
    return plan;
  }

  std::string residents() const {
    std::string keys;
    for (const Resident& r : world_->pool.residents()) keys += r.spec.key;
    return keys;
  }
  uint64_t held() const {
    uint64_t bytes = 0;
    for (const Resident& r : world_->pool.residents()) {
      for (const DeviceBuffers& h : r.ready.held) bytes += h.device == "gpu" ? h.anonymous() : 0;
    }
    return bytes;
  }

  std::unique_ptr<FakeWorld> world_;
};

TEST_F(DevicesTest, ThreeModelsStayOnTwentyFourGigabytes) {
  serve(sized("a", 8, 8192));    // 9.1 GiB with its cache
  serve(sized("b", 4.7, 8192));  // 5.8 GiB
  serve(sized("c", 5.5, 8192));  // 6.6 GiB
  EXPECT_EQ(residents(), "abc");
  EXPECT_LE(held(), 24 * gib);
  EXPECT_GT(held(), 20 * gib);
  serve(sized("d", 4.7, 8192));  // no room: the one that was used longest ago goes
  EXPECT_EQ(residents(), "bcd");
  EXPECT_LE(held(), 24 * gib);
}

TEST_F(DevicesTest, ContextsThatNobodyAskedForMakeWay) {
  const Plan first = serve(sized("a", 5, 0));
  EXPECT_EQ(first.context, 32768U);
  serve(sized("b", 5, 0));
  const Plan third = serve(sized("c", 4.5, 0));
  EXPECT_EQ(residents(), "abc") << "what is left is enough for a shorter context";
  EXPECT_EQ(third.context, 8192U);
  EXPECT_LE(held(), 24 * gib);
}

TEST_F(DevicesTest, NobodyIsPushedToTheHostForOthers) {
  serve(sized("a", 15, 8192));
  const Plan plan = serve(sized("b", 10, 8192));
  EXPECT_EQ(residents(), "b") << "beside a it would have to leave layers to the processor";
  EXPECT_EQ(plan.layers_on(0), 32U);
}

TEST_F(DevicesTest, WhatIsLargerThanTheCardIsDividedAlone) {
  serve(sized("a", 5, 8192));
  const Plan plan = serve(sized("b", 40, 8192));
  EXPECT_EQ(residents(), "b");
  EXPECT_GT(plan.layers_on(0), 10U);
  EXPECT_GT(plan.layers_on(1), 5U);
}

class TwoCards : public DevicesTest {
 protected:
  TwoCards() : DevicesTest({test::card("gpu", 12 * gib), test::card("second", 12 * gib), test::host(0)}) {}
};

TEST_F(TwoCards, TheSecondModelTakesTheSecondCard) {
  auto spec = [](const std::string& name) {
    ModelSpec s = sized(name, 8, 8192);
    auto survey = std::make_shared<from_child::Surveyed>(*s.survey);
    survey->budgets.insert(survey->budgets.begin(), test::card("gpu", 0));
    s.survey = survey;
    return s;
  };
  EXPECT_TRUE(serve(spec("a")).uses(0));
  const Plan second = serve(spec("b"));
  EXPECT_TRUE(second.uses(1));
  EXPECT_FALSE(second.uses(0));
  EXPECT_EQ(residents(), "ab");
}

}  // namespace
}  // namespace hearth
