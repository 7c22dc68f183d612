// Workers that fail to load, die, hang or lie.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_world.h"

namespace hearth {
namespace {

using namespace std::chrono_literals;
using test::FakeWorld;
using test::Listener;
using test::model;
using test::question;
using testing::HasSubstr;

class FailureTest : public testing::Test {
 protected:
  RequestId ask(const ModelSpec& spec, Listener& l) {
    const RequestId id = world_->pool.submit(spec, question(), std::nullopt, l.sink());
    world_->run();
    return id;
  }
  void restart(SchedulerPolicy policy) {
    world_.reset();
    world_ = std::make_unique<FakeWorld>(policy);
  }
  static void expect_lost(const Listener& l, const std::string& cause) {
    ASSERT_TRUE(l.finished() && l.error);
    EXPECT_EQ(l.error->code, Code::device_lost);
    EXPECT_THAT(l.error->message, HasSubstr(cause));
    EXPECT_THAT(l.error->message, HasSubstr("model a"));
    EXPECT_FALSE(l.error->remedy.empty());
  }

  std::unique_ptr<FakeWorld> world_ = std::make_unique<FakeWorld>();
};

TEST_F(FailureTest, AFailedLoadReachesAllWhoWaitForIt) {
  Listener a, b, other;
  ask(model("a"), a);
  ask(model("a"), b);
  ask(model("a", 4096), other);
  world_->worker().say(from_child::Failed{{0}, Code::corrupt_file, "tensor x lies outside", "pull again"});
  world_->run();
  for (const Listener* l : {&a, &b}) {
    ASSERT_TRUE(l->finished() && l->error);
    EXPECT_EQ(l->error->code, Code::corrupt_file);
    EXPECT_EQ(l->error->message, "tensor x lies outside");
    EXPECT_EQ(l->error->remedy, "pull again");
  }
  EXPECT_FALSE(other.finished()) << "another context may well load";
  ASSERT_EQ(world_->workers.size(), 2U);
  EXPECT_EQ(world_->worker().load.wish.context, 4096U);
}

TEST_F(FailureTest, ADeadWorkerEndsItsRequestsAndTheNextOneGetsAnother) {
  Listener a, b, other, next;
  const RequestId first = ask(model("a"), a);
  ask(model("a"), b);
  const RequestId elsewhere = ask(model("b"), other);
  world_->worker_of("a").ready();
  world_->worker_of("b").ready();
  world_->worker_of("a").text(first, "be");
  world_->worker_of("a").die();
  world_->run();
  expect_lost(a, "was killed by signal 11 (Segmentation fault): last words");
  expect_lost(b, "last words");
  EXPECT_EQ(a.text, "be");
  EXPECT_EQ(world_->workers.size(), 2U) << "nobody waits for a new one";
  const RequestId id = ask(model("a"), next);
  ASSERT_EQ(world_->workers.size(), 3U);
  world_->worker().ready();
  world_->worker().done(id);
  world_->worker_of("b").done(elsewhere);
  world_->run();
  EXPECT_TRUE(next.done("stop") && other.done("stop"));
}

TEST_F(FailureTest, WaitingRequestsAreTriedOnceMore) {
  Listener l;
  ask(model("a"), l);
  world_->worker().die("was killed by signal 9 (Killed)");
  world_->run();
  EXPECT_FALSE(l.finished());
  ASSERT_EQ(world_->workers.size(), 2U);
  world_->worker().die("ended with exit code 3: out of luck");
  world_->run();
  expect_lost(l, "did not load it: it ended with exit code 3: out of luck");
  EXPECT_EQ(world_->workers.size(), 2U);
}

TEST_F(FailureTest, ALostDeviceIsTriedOnceMoreWithSmallerSteps) {
  const from_child::Failed lost{{0}, Code::device_lost, "waiting for the GPU failed", "see dmesg"};
  Listener begun, fresh, waiting;
  const RequestId first = ask(model("a"), begun), second = ask(model("a"), fresh);
  world_->worker().ready();
  EXPECT_EQ(world_->worker().load.halvings, 0U);
  world_->worker().text(first, "be");
  world_->worker().say(lost);
  world_->run();
  expect_lost(begun, "model a lost its device: waiting for the GPU failed");
  EXPECT_FALSE(fresh.finished()) << "nothing of its answer was seen";
  ASSERT_EQ(world_->workers.size(), 2U);
  EXPECT_EQ(world_->worker().load.halvings, 1U);
  world_->worker().ready();
  EXPECT_TRUE(world_->worker().open.contains(second));
  world_->worker().say(lost);
  world_->run();
  expect_lost(fresh, "waiting for the GPU failed; so it did with steps of half the size");
  EXPECT_EQ(world_->workers.size(), 2U) << "once";
  ask(model("a"), waiting);
  EXPECT_EQ(world_->worker().load.halvings, 0U) << "the next begins anew";
}

TEST_F(FailureTest, SmallerStepsStay) {
  Listener l, next;
  const RequestId id = ask(model("a"), l);
  world_->worker().ready();
  world_->worker().say(from_child::Failed{{0}, Code::device_lost, "gone", "none"});
  world_->run();
  world_->worker().ready();
  world_->worker().done(id);
  world_->run();
  EXPECT_TRUE(l.done("stop"));
  world_->pool.unload("a");
  world_->run();
  ask(model("a"), next);
  EXPECT_EQ(world_->workers.size(), 3U);
  EXPECT_EQ(world_->worker().load.halvings, 1U) << "what the device does not bear it bears no better later";
}

TEST_F(FailureTest, ACrashOfOthersIsNotHeldAgainstWhoeverWaits) {
  SchedulerPolicy policy;
  policy.parallel = 1;
  restart(policy);
  Listener l[5];
  for (Listener& each : l) ask(model("a"), each);
  for (size_t i = 0; i < 4; ++i) {
    world_->worker().ready();
    world_->worker().die();
    world_->run();
    expect_lost(l[i], "signal 11");
    EXPECT_FALSE(l[i + 1].finished());
  }
}

TEST_F(FailureTest, AWorkerThatDiedUnnoticedGetsNoRequest) {
  Listener l, next;
  const RequestId id = ask(model("a"), l);
  world_->worker().ready();
  world_->worker().done(id);
  world_->worker().dead = true;  // the report is still on its way
  const RequestId second = ask(model("a"), next);
  EXPECT_FALSE(next.finished());
  world_->worker().die();
  world_->run();
  ASSERT_EQ(world_->workers.size(), 2U);
  world_->worker().ready();
  world_->worker().done(second);
  world_->run();
  EXPECT_TRUE(next.done("stop"));
}

TEST_F(FailureTest, WhereTheSystemGivesNoProcessTheRequestFails) {
  world_->no_processes = true;
  Listener l;
  ask(model("a"), l);
  ASSERT_TRUE(l.error);
  EXPECT_EQ(l.error->code, Code::io);
  world_->no_processes = false;
  Listener next;
  ask(model("a"), next);
  EXPECT_EQ(world_->alive(), 1U);
}

TEST_F(FailureTest, AWorkerThatNeitherAnswersNorComputesIsKilled) {
  SchedulerPolicy policy;
  policy.hang_timeout = 8s;
  restart(policy);
  Listener l;
  ask(model("a"), l);
  world_->worker().ready();
  for (int i = 0; i < 60; ++i) {  // a long step
    ++world_->worker().progress.computed;
    world_->pass(1s);
  }
  EXPECT_EQ(world_->worker().pings, 1U);
  EXPECT_FALSE(l.finished());
  for (int i = 0; i < 60; ++i) {  // many short ones
    world_->worker().say(from_child::Pong{});
    world_->pass(7s);
  }
  EXPECT_FALSE(l.finished());
  world_->pass(10s);
  expect_lost(l, "hung: it neither answered nor computed for 8 s");
  EXPECT_EQ(world_->alive(), 0U);
}

TEST_F(FailureTest, AStepWithoutEndIsEnded) {
  SchedulerPolicy policy;
  policy.step_timeout = 100s;
  restart(policy);
  Listener l;
  ask(model("a"), l);
  world_->worker().ready();
  for (int i = 0; i < 110; ++i) {
    ++world_->worker().progress.computed;
    world_->pass(1s);
    EXPECT_TRUE(i >= 95 || !l.finished());
  }
  expect_lost(l, "did not finish a step in 100 s");
}

TEST_F(FailureTest, ALoadWithoutProgressTimesOut) {
  SchedulerPolicy policy;
  policy.load_timeout = 60s;
  restart(policy);
  Listener l;
  ask(model("a"), l);
  for (int i = 0; i < 1000; ++i) {  // slow, but it moves
    ++world_->worker().progress.touched;
    world_->pass(10s);
  }
  EXPECT_FALSE(l.finished());
  for (int i = 0; i < 70; ++i) {
    ++world_->worker().progress.computed;  // turning in circles is no progress
    world_->pass(1s);
  }
  expect_lost(l, "did not load it: it made no progress for 60 s");
  EXPECT_EQ(world_->workers.size(), 1U) << "who waited that long does not wait again";
}

TEST_F(FailureTest, NoLoadTimeoutWaitsForEver) {
  SchedulerPolicy policy;
  policy.load_timeout = 0s;
  restart(policy);
  Listener l;
  ask(model("a"), l);
  world_->pass(24h);
  EXPECT_FALSE(l.finished());
}

TEST_F(FailureTest, AnIdleWorkerIsNotWatched) {
  Listener l;
  const RequestId id = world_->pool.submit(model("a"), question(), forever, l.sink());
  world_->run();
  world_->worker().ready();
  world_->worker().done(id);
  world_->pass(24h);
  EXPECT_EQ(world_->alive(), 1U);
  EXPECT_EQ(world_->worker().pings, 0U);
  EXPECT_FALSE(world_->alarm);
}

TEST_F(FailureTest, AWorkerSpeaksForItsOwnRequestsOnly) {
  Listener a, b;
  const RequestId first = ask(model("a"), a), second = ask(model("b"), b);
  world_->worker_of("a").ready();
  world_->worker_of("b").ready();
  world_->worker_of("b").text(first, "forged");
  world_->worker_of("b").done(first);
  world_->worker_of("b").done({4711});
  world_->worker_of("b").ready();
  world_->worker_of("b").say(from_child::Failed{{0}, Code::bug, "no load is under way", ""});
  world_->run();
  EXPECT_EQ(a.text, "");
  EXPECT_FALSE(a.finished() || b.finished());
  world_->worker_of("a").done(first);
  world_->worker_of("a").done(first);
  world_->worker_of("b").done(second);
  world_->run();
  EXPECT_TRUE(a.done("stop") && b.done("stop"));
}

}  // namespace
}  // namespace hearth
