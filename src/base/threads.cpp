#include "base/threads.h"

#include <algorithm>

namespace hearth {
namespace {

void relax() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

ThreadTeam::ThreadTeam(uint32_t threads, bool spin)
    : threads_(std::max(1U, threads)), spins_(spin ? 4000 : 0) {
  for (uint32_t i = 1; i < threads_; ++i) workers_.emplace_back([this, i] { worker(i); });
}

ThreadTeam::~ThreadTeam() {
  stop_.store(true);
  round_.fetch_add(1);
  round_.notify_all();
  for (std::thread& w : workers_) w.join();
}

void ThreadTeam::wait_while(const std::atomic<uint32_t>& word, uint32_t value) const noexcept {
  for (uint32_t i = 0; i < spins_; ++i) {
    if (word.load(std::memory_order_acquire) != value) return;
    relax();
  }
  while (word.load(std::memory_order_acquire) == value) word.wait(value, std::memory_order_acquire);
}

void ThreadTeam::worker(uint32_t index) {
  for (uint32_t seen = 0;;) {
    wait_while(round_, seen);
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
  wait_while(phase_, phase);
}

}  // namespace hearth
