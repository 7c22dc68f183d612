#include "device/cpu/shares.h"

#include <gtest/gtest.h>

#include <barrier>
#include <chrono>
#include <thread>

namespace hearth::test {
namespace {

// Calls with these many units each, without a barrier between them: every unit of each is done once.
void expect_all_once(uint32_t threads, const std::vector<uint32_t>& calls, uint32_t slow) {
  cpu::Shares shares(threads);
  std::vector<std::vector<std::atomic<int>>> done;
  for (const uint32_t units : calls) done.emplace_back(units);
  std::vector<std::jthread> team;
  for (uint32_t t = 0; t < threads; ++t) {
    team.emplace_back([&, t] {
      for (size_t c = 0; c < calls.size(); ++c) {
        shares.run(t, calls[c], [&](uint32_t unit) {
          if (t == slow) std::this_thread::sleep_for(std::chrono::microseconds(50));
          done[c][unit].fetch_add(1);
        });
      }
    });
  }
  team.clear();
  for (size_t c = 0; c < calls.size(); ++c) {
    for (uint32_t u = 0; u < calls[c]; ++u) EXPECT_EQ(done[c][u].load(), 1) << "call " << c << " unit " << u;
  }
}

TEST(Shares, GiveEveryUnitToOneThread) {
  for (const uint32_t threads : {1U, 2U, 3U, 7U}) {
    for (const uint32_t slow : {0U, threads - 1, threads})
      expect_all_once(threads, {1, 0, 5, 64, 3, 1000, 2, 2, 40}, slow);
  }
}

TEST(Shares, TheNumberOfCallsIsNotLimited) {
  constexpr uint32_t calls = 70'000,
                     apart = 1000;  // more than are told apart, but not from one meeting to the next
  cpu::Shares shares(2);
  std::atomic<uint32_t> done{0};
  std::barrier meeting(2);
  const auto work = [&](uint32_t thread) {
    for (uint32_t c = 0; c < calls; ++c) {
      if (c % apart == 0) meeting.arrive_and_wait();
      shares.run(thread, 3, [&](uint32_t) { ++done; });
    }
  };
  std::jthread other(work, 1);
  work(0);
  other.join();
  EXPECT_EQ(done, 3 * calls);
}

// A part that nobody begins is done by the others.
TEST(Shares, OfAThreadThatIsLateAreDoneByTheOthers) {
  cpu::Shares shares(3);
  std::atomic<uint32_t> done{0};
  const auto work = [&](uint32_t) { ++done; };
  std::jthread other([&] { shares.run(1, 30, work); });
  shares.run(0, 30, work);
  other.join();
  EXPECT_EQ(done, 30);
  shares.run(2, 30, work);
  EXPECT_EQ(done, 30);
}

// Each thread takes its own part from the front.
TEST(Shares, AreTakenInOrder) {
  cpu::Shares shares(2);
  std::vector<uint32_t> order;
  shares.run(0, 6, [&](uint32_t unit) { order.push_back(unit); });
  EXPECT_EQ(order, (std::vector<uint32_t>{0, 1, 2, 5, 4, 3}));
}

}  // namespace
}  // namespace hearth::test
