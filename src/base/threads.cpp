#include "base/threads.h"

#include <algorithm>
#include <chrono>

namespace hearth {
namespace {

void relax() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// 4,000 pauses are 120 µs on Zen 3. A wait that lasts no longer than `short_wait` after its spins, what
// sleeping and waking cost, should have spun a little more; one that lasts longer waits for a thread that
// does not run, and spins in vain. (Up in steps and down by a factor, as networks share a line: doubling left
// two small models at once at a fifth of the speed.)
constexpr uint32_t most_spins = 4000, least_spins = 64;
constexpr std::chrono::microseconds short_wait{20};

}  // namespace

ThreadTeam::ThreadTeam(uint32_t threads, bool spin)
    : threads_(std::max(1U, threads)), spins_(spin ? most_spins : 0) {
  for (uint32_t i = 1; i < threads_; ++i) workers_.emplace_back([this, i] { worker(i); });
}

ThreadTeam::~ThreadTeam() {
  stop_.store(true);
  round_.fetch_add(1);
  round_.notify_all();
  for (std::thread& w : workers_) w.join();
}

bool ThreadTeam::spin_while(const std::atomic<uint32_t>& word, uint32_t value) const noexcept {
  for (uint32_t i = spins_.load(std::memory_order_relaxed); i > 0; --i) {
    if (word.load(std::memory_order_acquire) != value) return true;
    relax();
  }
  return false;
}

void ThreadTeam::wait_for_team(uint32_t phase) noexcept {
  if (spin_while(phase_, phase)) return;
  const auto slept = std::chrono::steady_clock::now();
  while (phase_.load(std::memory_order_acquire) == phase) phase_.wait(phase, std::memory_order_acquire);
  const uint32_t spins = spins_.load(std::memory_order_relaxed);
  if (spins == 0) return;
  const bool brief = std::chrono::steady_clock::now() - slept < short_wait;
  const uint32_t next = brief ? std::min(most_spins, spins + least_spins) : std::max(least_spins, spins / 4);
  if (next != spins) spins_.store(next, std::memory_order_relaxed);
}

void ThreadTeam::worker(uint32_t index) {
  for (uint32_t seen = 0;;) {
    if (!spin_while(round_, seen)) {
      while (round_.load(std::memory_order_acquire) == seen) round_.wait(seen, std::memory_order_acquire);
    }
    seen = round_.load(std::memory_order_acquire);
    if (stop_.load()) return;
    (*work_)(index);
    barrier();
  }
}

void ThreadTeam::run(const std::function<void(uint32_t)>& work) {
  work_ = &work;
  round_.fetch_add(1, std::memory_order_release);
  if (threads_ > 1) round_.notify_all();
  work(0);
  barrier();
}

void ThreadTeam::barrier() noexcept {
  if (threads_ == 1) return;
  const uint32_t phase = phase_.load(std::memory_order_acquire);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
    arrived_.store(0, std::memory_order_relaxed);
    phase_.fetch_add(1, std::memory_order_release);
    phase_.notify_all();
    return;
  }
  wait_for_team(phase);
}

}  // namespace hearth
