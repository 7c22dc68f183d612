// Whatever clients, workers and the clock do: every request gets exactly one final piece, nothing after it,
// and there are never more workers than allowed.
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <random>

#include "fake_world.h"

namespace hearth {
namespace {

using namespace std::chrono_literals;
using test::FakeWorker;
using test::FakeWorld;
using test::Listener;
using test::model;
using test::question;

class Chaos {
 public:
  explicit Chaos(uint32_t seed) : random_(seed), world_(policy()) {}

  void live(int steps) {
    for (int i = 0; i < steps; ++i) {
      step();
      if (pick(3) > 0) world_.run();
      check();
    }
  }

  // Everything comes to rest: either all is answered, or the server shuts down in the middle of it.
  void end() {
    world_.reluctant = false;
    bool closed = false;
    const bool abruptly = pick(2) == 0;
    if (abruptly) world_.pool.shut_down(std::chrono::seconds(pick(20)), [&] { closed = true; });
    for (int i = 0; i < 3000 && !(settled() && (closed || !abruptly)); ++i) {
      for (const auto& w : std::vector(world_.workers)) answer_all(*w);
      world_.pass(1s);
    }
    EXPECT_EQ(closed, abruptly);
    EXPECT_TRUE(!abruptly || world_.alive() == 0);
    for (const auto& l : listeners_) {
      EXPECT_EQ(l->finals, 1);
      EXPECT_EQ(l->late, 0);
    }
    world_.pass(24h * 3650);
    if (!abruptly) {
      for (const Resident& r : world_.pool.residents()) EXPECT_FALSE(r.expires) << r.spec.key;
    }
  }

 private:
  uint32_t pick(uint32_t n) { return std::uniform_int_distribution<uint32_t>(0, n - 1)(random_); }

  SchedulerPolicy policy() {
    SchedulerPolicy p;
    p.most_loaded = most_loaded_ = 1 + pick(3);
    p.most_waiting = 1 + pick(20);
    p.parallel = pick(4);
    p.memory_bytes = pick(2) == 0 ? 350 : 0;
    p.hang_timeout = 5s;
    p.step_timeout = 20s;
    p.load_timeout = std::chrono::seconds(10 * pick(2));
    return p;
  }

  void step() {
    switch (pick(14)) {
      case 0:
      case 1:
      case 2:
      case 3: return submit();
      case 4: return world_.pool.cancel({1 + pick(static_cast<uint32_t>(listeners_.size()) + 1)});
      case 5: return pick(3) == 0 ? world_.pool.unload(key()) : void();
      case 6: return world_.pass(std::chrono::milliseconds(pick(9000)));
      case 7: world_.reluctant = pick(2) == 0; return;
      case 8: world_.no_processes = pick(8) == 0; return;
      default: return act();
    }
  }

  std::string key() { return std::string(1, static_cast<char>('a' + pick(5))); }

  void submit() {
    listeners_.push_back(std::make_unique<Listener>());
    ModelSpec spec = model(key(), pick(3) * 2048);
    if (pick(9) == 0) spec.load.threads = 1 + pick(3);
    const KeepAlive keep =
        pick(2) == 0 ? KeepAlive() : KeepAlive(std::chrono::seconds(static_cast<int>(pick(30)) - 1));
    world_.pool.submit(spec, pick(8) == 0 ? Request() : question(), keep, listeners_.back()->sink());
  }

  // One of the living workers does something.
  void act() {
    std::vector<std::shared_ptr<FakeWorker>> living;
    for (const auto& w : world_.workers) {
      if (!w->dead) living.push_back(w);
    }
    if (living.empty()) return;
    FakeWorker& w = *living[pick(static_cast<uint32_t>(living.size()))];
    if (pick(12) == 0) return w.die();
    if (pick(3) == 0) ++w.progress.computed;
    if (w.killed) return;
    if (!w.loaded) return load(w);
    if (w.open.empty()) return;
    const RequestId id = *std::next(w.open.begin(), pick(static_cast<uint32_t>(w.open.size())));
    switch (pick(6)) {
      case 0: return w.done(id);
      case 1: return w.fail(id, pick(2) == 0 ? Code::busy : Code::bad_request, "no");
      case 2: return w.say(from_child::Pong{});
      default: return w.text(id, "x");
    }
  }

  void load(FakeWorker& w) {
    if (pick(5) > 0) return w.ready(50 + pick(200), w.load.wish.context == 0 ? 8192 : w.load.wish.context);
    w.say(from_child::Failed{{0}, pick(2) == 0 ? Code::out_of_memory : Code::corrupt_file, "no", ""});
  }

  void answer_all(FakeWorker& w) {
    world_.no_processes = false;
    if (w.dead || w.killed) return;
    if (!w.loaded) w.ready(100, w.load.wish.context == 0 ? 8192 : w.load.wish.context);
    for (const RequestId id : std::set(w.open)) w.done(id);
  }

  bool settled() const {
    return std::all_of(listeners_.begin(), listeners_.end(), [](const auto& l) { return l->finals > 0; });
  }

  void check() const {
    ASSERT_LE(world_.most_alive, most_loaded_);
    for (const auto& l : listeners_) {
      ASSERT_LE(l->finals, 1);
      ASSERT_EQ(l->late, 0);
    }
    std::set<std::string> paths;
    for (const auto& w : world_.workers) {
      ASSERT_TRUE(w->dead || paths.insert(w->load.path).second) << "two workers of one model";
    }
  }

  std::mt19937 random_;
  uint32_t most_loaded_ = 0;
  FakeWorld world_;
  std::vector<std::unique_ptr<Listener>> listeners_;
};

TEST(PoolRandom, EveryRequestEndsOnceWhateverHappens) {
  const auto level = spdlog::get_level();
  spdlog::set_level(spdlog::level::off);
  for (uint32_t seed = 1; seed <= 2000 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    Chaos chaos(seed);
    chaos.live(200);
    chaos.end();
  }
  spdlog::set_level(level);
}

}  // namespace
}  // namespace hearth
