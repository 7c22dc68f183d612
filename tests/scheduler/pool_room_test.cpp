// How many models stay loaded, and who has to go.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "fake_world.h"
#include "scheduler/pool/worker.h"

namespace hearth {
namespace {

using namespace std::chrono_literals;
using test::FakeWorld;
using test::Listener;
using test::model;
using test::question;

class RoomTest : public testing::Test {
 protected:
  RoomTest()
      : folder_(std::filesystem::temp_directory_path() / ("hearth-room-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~RoomTest() override { std::filesystem::remove_all(folder_); }

  void restart(uint32_t most_loaded, uint64_t memory = 1ULL << 40) {
    SchedulerPolicy policy;
    policy.most_loaded = most_loaded;
    policy.memory_bytes = memory;
    world_.reset();
    world_ = std::make_unique<FakeWorld>(policy);
  }
  // A model whose file has so many bytes.
  ModelSpec sized(const std::string& name, size_t bytes) const {
    std::ofstream(folder_ / name) << std::string(bytes, 'x');
    ModelSpec spec = model(name);
    spec.load.path = (folder_ / name).string();
    return spec;
  }
  RequestId ask(const ModelSpec& spec, Listener& l, KeepAlive keep = std::nullopt) {
    const RequestId id = world_->pool.submit(spec, question(), keep, l.sink());
    world_->run();
    return id;
  }
  void serve(const ModelSpec& spec, uint64_t bytes = 100, KeepAlive keep = std::nullopt,
             bool mapped = false) {
    Listener l;
    const RequestId id = ask(spec, l, keep);
    if (!world_->worker_of(spec.load.path).loaded)
      world_->worker_of(spec.load.path).ready(bytes, 8192, mapped);
    world_->worker_of(spec.load.path).done(id);
    world_->run();
    ASSERT_TRUE(l.done("stop"));
  }
  std::string residents() const {
    std::string keys;
    for (const Resident& r : world_->pool.residents()) keys += r.spec.key;
    return keys;
  }

  std::filesystem::path folder_;
  std::unique_ptr<FakeWorld> world_ = std::make_unique<FakeWorld>();
};

TEST_F(RoomTest, TheIdleModelWithTheShortestKeepAliveGoes) {
  restart(3);
  serve(model("a"), 100, forever);
  serve(model("b"), 100, 10min);
  serve(model("c"), 100, 20min);
  world_->pass(1min);
  serve(model("d"), 100, 30min);
  EXPECT_EQ(residents(), "acd");
  world_->pass(1min);
  serve(model("c"), 100, 50min);
  serve(model("e"), 100, forever);
  EXPECT_EQ(residents(), "ace");
  serve(model("f"));
  EXPECT_EQ(residents(), "aef");
  EXPECT_EQ(world_->most_alive, 3U);
}

TEST_F(RoomTest, ThreePerCardWhereNobodySaysHowMany) {
  restart(0);
  for (const char* name : {"a", "b", "c", "d"}) serve(model(name), 100, forever);
  EXPECT_EQ(world_->most_alive, 3U) << "without a card";
  EXPECT_EQ(world_->pool.most_loaded(), 3U);
  DeviceBudget host{"cpu"}, card{"gpu0"}, second{"gpu1"};
  card.maps_weights = second.maps_weights = false;
  world_->pool.use_devices({card, host});
  EXPECT_EQ(world_->pool.most_loaded(), 3U);
  world_->pool.use_devices({card, second, host});
  EXPECT_EQ(world_->pool.most_loaded(), 6U);
  restart(2);
  world_->pool.use_devices({card, second, host});
  EXPECT_EQ(world_->pool.most_loaded(), 2U);
}

TEST_F(RoomTest, BusyOnesAreWaitedFor) {
  restart(2);
  Listener a, b, c;
  const RequestId first = ask(model("a"), a), second = ask(model("b"), b);
  world_->worker_of("a").ready();
  world_->worker_of("b").ready();
  const RequestId third = ask(model("c"), c);
  world_->pass(5s);
  EXPECT_EQ(world_->workers.size(), 2U);
  world_->worker_of("b").done(second);
  world_->run();
  ASSERT_EQ(world_->workers.size(), 3U);
  world_->worker_of("c").ready();
  world_->worker_of("c").done(third);
  world_->worker_of("a").done(first);
  world_->run();
  EXPECT_TRUE(a.done("stop") && b.done("stop") && c.done("stop"));
  EXPECT_EQ(world_->most_alive, 2U);
}

TEST_F(RoomTest, SteadyTrafficStarvesNobody) {
  restart(1);
  Listener other, chat[20];
  const RequestId running = ask(model("a"), chat[0]);
  world_->worker().ready();
  const RequestId waiting = ask(model("b"), other);
  for (int i = 1; i < 20; ++i) {  // there is always a request of `a` under way or waiting
    ask(model("a"), chat[i]);
    if (i == 3) world_->worker_of("a").done(running);
    world_->run();
  }
  ASSERT_EQ(world_->workers.size(), 2U);
  world_->worker_of("b").ready();
  world_->worker_of("b").done(waiting);
  world_->run();
  EXPECT_TRUE(other.done("stop"));
  EXPECT_EQ(world_->worker().load.path, "a") << "and then it is a's turn again";
}

TEST_F(RoomTest, NothingStartsBeforeTheEvictedOneIsGone) {
  restart(1);
  serve(model("a"));
  world_->reluctant = true;
  Listener l;
  ask(model("b"), l);
  EXPECT_EQ(world_->workers.size(), 1U);
  ASSERT_EQ(world_->pool.residents().size(), 1U);
  EXPECT_TRUE(world_->pool.residents()[0].stopping);
  world_->reluctant = false;
  world_->run();
  EXPECT_EQ(world_->workers.size(), 2U);
  EXPECT_EQ(world_->most_alive, 1U);
}

TEST_F(RoomTest, MemoryBoundsThemAsEstimatedAndAsHeld) {
  restart(9, 1000);
  serve(sized("a", 10), 400);  // holds more than its file says
  serve(sized("b", 300), 300);
  EXPECT_EQ(residents(), "ab");
  serve(sized("c", 301), 350);
  EXPECT_EQ(residents(), "bc");
  serve(sized("d", 900), 900);  // needs the room of both
  EXPECT_EQ(residents(), "d");
  Listener l;
  ask(sized("e", 5000), l);  // more than there is: alone it may try, and says itself what is missing
  EXPECT_EQ(world_->alive(), 1U);
  world_->worker().say(from_child::Failed{{0}, Code::out_of_memory, "needs 4 KB more", "buy some"});
  world_->run();
  ASSERT_TRUE(l.error);
  EXPECT_EQ(l.error->message, "needs 4 KB more");
}

TEST_F(RoomTest, TheSystemsMemoryCountsWhatItDoesNotSeeYet) {
  restart(9, 0);
  world_->available = 1000;
  Listener loading;
  ask(sized("a", 600), loading);
  Listener l;
  ask(sized("b", 500), l);
  EXPECT_EQ(world_->workers.size(), 1U) << "what a loading model will take is gone already";
  world_->worker().ready(600, 8192, true);
  world_->worker().done({1});  // its mapped file still counts as available to the system
  world_->run();
  EXPECT_EQ(residents(), "");
  EXPECT_EQ(world_->workers.size(), 2U);
  world_->worker().ready(500);
  world_->worker().done({2});
  world_->available = 500;  // the anonymous memory of b is gone from it
  serve(sized("c", 400), 400);
  EXPECT_EQ(residents(), "bc");
}

TEST_F(RoomTest, AWaitingRequestIsNotOvertakenByASmallerModel) {
  restart(9, 1000);
  Listener a, b, c;
  const RequestId first = ask(sized("a", 600), a);
  world_->worker().ready(600);
  ask(sized("b", 600), b);
  ask(sized("c", 100), c);
  EXPECT_EQ(world_->workers.size(), 1U);
  world_->worker().done(first);
  world_->run();
  EXPECT_EQ(world_->alive(), 2U);
  EXPECT_EQ(world_->workers[1]->load.path, (folder_ / "b").string());
}

TEST_F(RoomTest, MemoryThatRunsOutBesideAnotherModelIsTriedOnceMoreAlone) {
  serve(model("a"));
  serve(model("b"), 100, forever);
  Listener l;
  const RequestId id = ask(model("c"), l);
  const from_child::Failed shortage{{0}, Code::out_of_memory, "3 MiB short", ""};
  world_->worker_of("c").say(shortage);
  world_->run();
  EXPECT_FALSE(l.finished());
  EXPECT_EQ(world_->alive(), 1U);
  ASSERT_EQ(world_->workers.size(), 4U);
  world_->worker_of("c").ready();
  world_->worker_of("c").done(id);
  world_->run();
  EXPECT_TRUE(l.done("stop"));

  Listener again;
  ask(model("d"), again);
  world_->worker_of("d").say(shortage);
  world_->run();
  ASSERT_EQ(world_->workers.size(), 6U);
  world_->worker_of("d").say(shortage);
  world_->run();
  ASSERT_TRUE(again.error) << "only once";
  EXPECT_EQ(again.error->message, "3 MiB short");
}

TEST_F(RoomTest, ShortMemoryBesideABusyModelWaitsForIt) {
  Listener a, b;
  const RequestId first = ask(model("a"), a);
  world_->worker().ready();
  const RequestId second = ask(model("b"), b);
  world_->worker().say(from_child::Failed{{0}, Code::out_of_memory, "short", ""});
  world_->run();
  EXPECT_EQ(world_->workers.size(), 2U);
  EXPECT_FALSE(b.finished());
  world_->worker_of("a").done(first);
  world_->run();
  EXPECT_TRUE(a.done("stop"));
  ASSERT_EQ(world_->workers.size(), 3U);
  world_->worker().ready();
  world_->worker().done(second);
  world_->run();
  EXPECT_TRUE(b.done("stop"));
}

TEST_F(RoomTest, AnEstimateIsTheSizeOfAllParts) {
  sized("m-00001-of-00003.gguf", 10);
  sized("m-00002-of-00003.gguf", 20);
  sized("m-00003-of-00003.gguf", 30);
  sized("plain.gguf", 7);
  sized("m-0000a-of-00003.gguf", 5);
  EXPECT_EQ(estimated_memory((folder_ / "m-00001-of-00003.gguf").string()), 60U);
  EXPECT_EQ(estimated_memory((folder_ / "plain.gguf").string()), 7U);
  EXPECT_EQ(estimated_memory((folder_ / "m-0000a-of-00003.gguf").string()), 5U);
  EXPECT_EQ(estimated_memory((folder_ / "none").string()), 0U);
  EXPECT_EQ(estimated_memory(""), 0U);
}

}  // namespace
}  // namespace hearth
