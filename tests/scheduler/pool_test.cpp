// Requests, residency and eviction on a machine that exists only here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_world.h"
#include "support/model_numbers.h"

namespace hearth {
namespace {

using namespace std::chrono_literals;
using test::FakeWorld;
using test::Listener;
using test::model;
using test::question;
using testing::HasSubstr;
using testing::StartsWith;

class PoolTest : public testing::Test {
 protected:
  RequestId ask(const ModelSpec& spec, Listener& l, KeepAlive keep = std::nullopt) {
    const RequestId id = world_->pool.submit(spec, question(), keep, l.sink());
    world_->run();
    return id;
  }
  // Asks, loads where needed, and answers.
  void serve(const std::string& key, KeepAlive keep = std::nullopt) {
    Listener l;
    const RequestId id = ask(model(key), l, keep);
    if (!world_->worker_of(key).loaded) world_->worker_of(key).ready();
    world_->worker_of(key).done(id);
    world_->run();
    ASSERT_TRUE(l.done("stop"));
  }
  void restart(SchedulerPolicy policy) {
    world_.reset();
    world_ = std::make_unique<FakeWorld>(policy);
  }
  bool resident(const std::string& key) const {
    for (const Resident& r : world_->pool.residents()) {
      if (r.spec.key == key) return true;
    }
    return false;
  }

  std::unique_ptr<FakeWorld> world_ = std::make_unique<FakeWorld>();
};

TEST_F(PoolTest, ARequestStartsItsWorkerAndHearsItToTheEnd) {
  Listener l;
  const RequestId id = ask(model("a"), l);
  ASSERT_EQ(world_->workers.size(), 1U);
  EXPECT_TRUE(world_->worker().open.empty()) << "started before the model was ready";
  EXPECT_TRUE(world_->pool.residents().empty());
  world_->pass(2s);
  world_->worker().ready();
  ASSERT_TRUE(world_->worker().open.contains(id));
  world_->worker().text(id, "be");
  world_->worker().text(id, "cause");
  EXPECT_EQ(l.text, "") << "called from within";
  world_->worker().done(id);
  world_->run();
  EXPECT_EQ(l.text, "because");
  EXPECT_TRUE(l.done("stop"));
  EXPECT_NEAR(l.statistics.load, 2, 1e-9);
  EXPECT_NEAR(l.statistics.total, 2, 1e-9);
  world_->worker().text(id, "late");
  world_->run();
  EXPECT_EQ(l.late, 0);
}

TEST_F(PoolTest, RequestsOfOneModelRunTogetherInOneWorker) {
  Listener l[3];
  for (Listener& each : l) ask(model("a"), each);
  world_->worker().ready();
  EXPECT_EQ(world_->worker().open.size(), 3U);
  ASSERT_EQ(world_->pool.residents().size(), 1U);
  EXPECT_EQ(world_->pool.residents()[0].running, 3U);
  EXPECT_EQ(world_->workers.size(), 1U);
}

TEST_F(PoolTest, ParallelBoundsThem) {
  SchedulerPolicy policy;
  policy.parallel = 2;
  restart(policy);
  Listener l[4];
  RequestId id[4];
  for (int i = 0; i < 4; ++i) id[i] = ask(model("a"), l[i]);
  world_->worker().ready();
  EXPECT_EQ(world_->worker().open, (std::set{id[0], id[1]}));
  EXPECT_EQ(world_->pool.residents()[0].waiting, 2U);
  world_->worker().done(id[1]);
  EXPECT_EQ(world_->worker().open, (std::set{id[0], id[2]}));
}

TEST_F(PoolTest, ARequestThatFindsNoPagesWaitsForThem) {
  Listener l[3];
  RequestId id[3];
  for (int i = 0; i < 3; ++i) id[i] = ask(model("a"), l[i]);
  world_->worker().ready();
  world_->worker().fail(id[2], Code::busy, "no pages");
  world_->run();
  EXPECT_FALSE(l[2].finished());
  EXPECT_FALSE(world_->worker().open.contains(id[2]));
  world_->worker().done(id[0]);
  EXPECT_TRUE(world_->worker().open.contains(id[2]));
  // Alone, or after it spoke, such a failure is final.
  world_->worker().text(id[2], "x");
  world_->worker().fail(id[2], Code::busy, "no pages");
  world_->run();
  EXPECT_TRUE(l[2].finished());
  world_->worker().fail(id[1], Code::busy, "no pages at all");
  world_->run();
  ASSERT_TRUE(l[1].error);
  EXPECT_EQ(l[1].error->message, "no pages at all");
}

TEST_F(PoolTest, AnEmptyRequestLoadsAndIsDone) {
  Listener l;
  world_->pool.submit(model("a"), {}, 7s, l.sink());
  world_->worker().ready();
  world_->run();
  EXPECT_TRUE(l.done("load"));
  EXPECT_TRUE(world_->worker().open.empty());
  world_->pass(6900ms);
  EXPECT_EQ(world_->alive(), 1U);
  world_->pass(200ms);
  EXPECT_EQ(world_->alive(), 0U);
}

TEST_F(PoolTest, KeepAliveCountsFromTheEndOfTheLastRequest) {
  Listener l;
  const RequestId id = ask(model("a"), l, 10s);
  world_->worker().ready();
  for (int i = 0; i < 100; ++i) {
    world_->pass(1s);
    world_->worker().text(id, ".");
  }
  world_->worker().done(id);
  world_->pass(9900ms);
  EXPECT_EQ(world_->alive(), 1U);
  world_->pass(200ms);
  EXPECT_EQ(world_->alive(), 0U);
  EXPECT_TRUE(l.done("stop"));
}

TEST_F(PoolTest, KeepAliveEndsAfterItsTime) {
  serve("a");
  world_->pass(4min + 59s);
  EXPECT_TRUE(resident("a"));
  serve("a");  // the clock starts again
  world_->pass(4min + 59s);
  EXPECT_TRUE(resident("a"));
  const auto left = *world_->pool.residents()[0].expires - std::chrono::system_clock::now();
  EXPECT_GT(left, 0s);
  EXPECT_LT(left, 1100ms);
  world_->pass(2s);
  EXPECT_FALSE(resident("a"));
  EXPECT_EQ(world_->alive(), 0U);
}

TEST_F(PoolTest, KeepAliveZeroUnloadsAtOnceUnsetKeepsNegativeStays) {
  serve("a", 0ns);
  EXPECT_EQ(world_->alive(), 0U);
  serve("b", 20min);
  serve("b");
  world_->pass(19min);
  EXPECT_TRUE(resident("b")) << "a request without the field changed the value";
  serve("b", forever);
  world_->pass(24h * 365);
  ASSERT_TRUE(resident("b"));
  EXPECT_FALSE(world_->pool.residents()[0].expires);
  serve("b", std::chrono::nanoseconds::max());
  EXPECT_FALSE(world_->pool.residents()[0].expires) << "an overflow";
  serve("b", 1ns);
  world_->pass(1ns);
  EXPECT_EQ(world_->alive(), 0U);
}

TEST_F(PoolTest, KeepAliveZeroWaitsForTheOthers) {
  Listener a, b;
  const RequestId first = ask(model("a"), a);
  const RequestId second = ask(model("a"), b, 0ns);
  world_->worker().ready();
  world_->worker().done(second);
  world_->run();
  EXPECT_EQ(world_->alive(), 1U);
  world_->worker().done(first);
  world_->run();
  EXPECT_EQ(world_->alive(), 0U);
  EXPECT_TRUE(a.done("stop") && b.done("stop"));
}

TEST_F(PoolTest, TheFullQueueRefuses) {
  SchedulerPolicy policy;
  policy.most_waiting = 2;
  restart(policy);
  Listener l[3];
  for (Listener& each : l) ask(model("a"), each);
  ASSERT_TRUE(l[2].error);
  EXPECT_EQ(l[2].error->code, Code::busy);
  EXPECT_THAT(l[2].error->message, StartsWith("server busy"));
  EXPECT_FALSE(l[1].finished());
  world_->worker().ready();
  Listener more;
  ask(model("a"), more);
  EXPECT_FALSE(more.finished());
}

TEST_F(PoolTest, CancelWaitingAndRunning) {
  Listener a, b, c;
  const RequestId first = ask(model("a"), a);
  const RequestId second = ask(model("a"), b);
  world_->pool.cancel(second);
  world_->run();
  EXPECT_TRUE(b.done("cancelled"));
  world_->worker().ready();
  world_->worker().text(first, "x");
  world_->pool.cancel(first);
  world_->pool.cancel(first);
  world_->worker().text(first, "y");
  world_->run();
  EXPECT_TRUE(a.done("cancelled"));
  EXPECT_EQ(a.text, "x");
  ASSERT_TRUE(std::holds_alternative<to_child::Cancel>(world_->worker().got.back()));
  world_->worker().done(first, "cancelled");
  world_->run();
  EXPECT_EQ(a.late, 0);
  EXPECT_EQ(world_->alive(), 1U);
  world_->pool.cancel({999});
}

TEST_F(PoolTest, KeepAliveCountsFromACancellationToo) {
  Listener l;
  const RequestId id = ask(model("a"), l, 20s);
  world_->worker().ready();
  world_->pass(15s);
  world_->pool.cancel(id);
  world_->worker().done(id, "cancelled");
  world_->pass(19s);
  EXPECT_EQ(world_->alive(), 1U);
  world_->pass(2s);
  EXPECT_EQ(world_->alive(), 0U);
}

TEST_F(PoolTest, ALoadThatNobodyWaitsForIsStopped) {
  Listener l;
  world_->pool.cancel(ask(model("a"), l));
  world_->run();
  EXPECT_TRUE(l.done("cancelled"));
  EXPECT_EQ(world_->alive(), 0U);
}

TEST_F(PoolTest, ACancelledRequestHoldsItsPlaceUntilTheWorkerSaysSo) {
  SchedulerPolicy policy;
  policy.parallel = 1;
  restart(policy);
  Listener a, b;
  const RequestId first = ask(model("a"), a), second = ask(model("a"), b);
  world_->worker().ready();
  world_->pool.cancel(first);
  EXPECT_FALSE(world_->worker().open.contains(second));
  world_->worker().done(first, "cancelled");
  EXPECT_TRUE(world_->worker().open.contains(second));
}

TEST_F(PoolTest, UnloadIdleBusyAndUnknown) {
  serve("a");
  world_->pool.unload("a");
  world_->pool.unload("never loaded");
  world_->run();
  EXPECT_EQ(world_->alive(), 0U);

  SchedulerPolicy policy;
  policy.parallel = 1;
  restart(policy);
  Listener l[3];
  RequestId id[3];
  for (int i = 0; i < 2; ++i) id[i] = ask(model("a"), l[i]);
  world_->worker().ready();
  world_->pool.unload("a");
  id[2] = ask(model("a"), l[2]);
  EXPECT_TRUE(world_->pool.residents()[0].stopping);
  world_->worker().done(id[0]);
  world_->run();
  EXPECT_TRUE(world_->worker().open.contains(id[1])) << "it was there before";
  world_->worker().done(id[1]);
  world_->run();
  ASSERT_EQ(world_->workers.size(), 2U) << "the last one came after the unload";
  world_->worker().ready();
  world_->worker().done(id[2]);
  world_->run();
  EXPECT_TRUE(l[0].done("stop") && l[1].done("stop") && l[2].done("stop"));
}

TEST_F(PoolTest, AContextThatIsTooShortForOthersIsNotTheirs) {
  const auto known = [](const std::string& name, uint32_t context) {
    ModelSpec spec = model(name, context);
    auto survey = std::make_shared<from_child::Surveyed>();
    survey->profile = test::numbers({});
    survey->profile.context = 32768;
    survey->budgets = {test::host(0)};
    spec.survey = survey;
    return spec;
  };
  Listener a, b, c;
  const RequestId first = ask(known("a", 16384), a);
  world_->worker().ready(100, 16384);
  const RequestId second = ask(known("a", 0), b);
  EXPECT_TRUE(world_->worker().open.contains(second)) << "it is long enough";
  world_->worker().done(first);
  world_->worker().done(second);
  world_->run();
  const RequestId third = ask(known("a", 16), c);
  world_->run();
  world_->worker().ready(100, 16);
  world_->worker().done(third);
  world_->run();
  const size_t before = world_->workers.size();
  Listener d;
  ask(known("a", 0), d);
  world_->run();
  EXPECT_EQ(world_->workers.size(), before + 1) << "16 tokens are nothing that anybody would ask for";
}

TEST_F(PoolTest, AnExplicitContextReloadsAnAutomaticOneDoesNot) {
  Listener a, b, c, d;
  const RequestId first = ask(model("a", 4096), a);
  world_->worker().ready(100, 4096);
  const RequestId second = ask(model("a"), b);
  EXPECT_TRUE(world_->worker().open.contains(second)) << "automatic takes what there is";
  const RequestId third = ask(model("a", 2048), c);
  const RequestId fourth = ask(model("a"), d);
  world_->run();
  EXPECT_FALSE(world_->worker().open.contains(third));
  EXPECT_FALSE(world_->worker().open.contains(fourth)) << "it overtook one that waits for a reload";
  EXPECT_EQ(world_->workers.size(), 1U) << "a busy worker was replaced";
  world_->worker().done(first);
  world_->worker().done(second);
  world_->run();
  ASSERT_EQ(world_->workers.size(), 2U);
  EXPECT_EQ(world_->worker().load.wish.context, 2048U);
  EXPECT_EQ(world_->most_alive, 1U);
  world_->worker().ready(100, 2048);
  EXPECT_EQ(world_->worker().open, (std::set{third, fourth}));
}

TEST_F(PoolTest, AnExplicitValueThatEqualsTheAutomaticOneIsServed) {
  serve("a");  // became 8192
  Listener l;
  const RequestId id = ask(model("a", 8192), l);
  EXPECT_EQ(world_->workers.size(), 1U);
  EXPECT_TRUE(world_->worker().open.contains(id));
}

TEST_F(PoolTest, OtherLoadTimeValuesReload) {
  serve("a");
  ModelSpec threads = model("a"), cache = model("a"), moved = model("a");
  threads.load.threads = 3;
  cache.load.wish.kv.k = KvType::q8_0;
  moved.load.path = "elsewhere/a";
  Listener l[3];
  ask(moved, l[0]);
  EXPECT_EQ(world_->workers.size(), 1U) << "same weights under another path";
  world_->worker().done({2});
  ask(threads, l[1]);
  EXPECT_EQ(world_->workers.size(), 2U);
  EXPECT_EQ(world_->worker().load.threads, 3U);
  world_->worker().ready();
  world_->worker().done({3});
  ask(cache, l[2]);
  EXPECT_EQ(world_->workers.size(), 3U);
}

TEST_F(PoolTest, ShutDownWaitsThenCancels) {
  Listener running, waiting, late;
  serve("idle");
  const RequestId id = ask(model("a"), running);
  world_->worker().ready();
  ask(model("b"), waiting);
  bool closed = false;
  world_->pool.shut_down(5s, [&] { closed = true; });
  ask(model("a"), late);
  EXPECT_EQ(world_->alive(), 1U) << "idle and loading ones go at once";
  ASSERT_TRUE(waiting.error && late.error);
  EXPECT_EQ(waiting.error->code, Code::busy);
  world_->worker_of("a").text(id, "x");
  world_->pass(4s);
  EXPECT_FALSE(running.finished() || closed);
  world_->pass(2s);
  EXPECT_TRUE(running.done("cancelled"));
  EXPECT_EQ(running.text, "x");
  EXPECT_TRUE(closed);
  EXPECT_EQ(world_->alive(), 0U);
}

TEST_F(PoolTest, ShutDownEndsWithTheLastRequestAndCanBeHurried) {
  Listener a;
  const RequestId id = ask(model("a"), a);
  world_->worker().ready();
  int closed = 0;
  world_->pool.shut_down(forever, [&] { ++closed; });
  world_->run();
  EXPECT_EQ(closed, 0);
  world_->worker().done(id);
  world_->run();
  EXPECT_EQ(closed, 1);
  EXPECT_TRUE(a.done("stop"));

  restart({});
  Listener b;
  ask(model("a"), b);
  world_->worker().ready();
  world_->pool.shut_down(forever, [&] { ++closed; });
  world_->pool.shut_down(0ns, [&] { ++closed; });
  world_->run();
  EXPECT_EQ(closed, 3);
  EXPECT_TRUE(b.done("cancelled"));
}

TEST_F(PoolTest, ASinkMayCallThePool) {
  Listener second;
  std::optional<RequestId> next;
  world_->pool.submit(model("a"), {}, std::nullopt, [&](const Piece&) {
    next = world_->pool.submit(model("a"), question(), std::nullopt, second.sink());
    world_->pool.unload("a");
    world_->pool.cancel(*next);
  });
  world_->worker().ready();
  world_->run();
  EXPECT_TRUE(second.done("cancelled"));
  EXPECT_EQ(world_->alive(), 0U);
}

}  // namespace
}  // namespace hearth
