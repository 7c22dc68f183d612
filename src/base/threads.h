#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace hearth {

// How many threads are worth starting, and why: affinity ∩ cgroup quota (v1 and v2, every ancestor, rounded
// down, at least one) ∩ one per physical core of the fastest kind. Threads wait for each other after every
// stage: slower cores would only make the others wait.
struct ThreadBudget {
  uint32_t threads = 1;
  bool quota = false;  // a cgroup limits CPU time: never spin then
  std::string reason;  // "8 physical core(s) of 24 allowed processor(s), 8 slower core(s) left out"
};

// `root` replaces "/" in tests, where the affinity is what root/proc/self/status says.
ThreadBudget thread_budget(const std::string& root = "");

// A fixed team: run(f) calls f(thread) on every thread, the caller being thread 0, and returns when all are
// done. Inside f, barrier() waits until all threads of the team have arrived. Waiting spins briefly, then
// sleeps; under a quota it sleeps at once. How long it spins follows what waits lasted: where another program
// has the processor that the team waits for, spinning only keeps it from the one it waits for.
class ThreadTeam {
 public:
  explicit ThreadTeam(uint32_t threads, bool spin = true);
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;
  ~ThreadTeam();

  uint32_t size() const noexcept { return threads_; }
  void run(const std::function<void(uint32_t)>& work);
  void barrier() noexcept;

 private:
  void worker(uint32_t index);
  bool spin_while(const std::atomic<uint32_t>& word, uint32_t value) const noexcept;
  void wait_for_team(uint32_t phase) noexcept;

  uint32_t threads_;
  std::atomic<uint32_t> spins_;
  const std::function<void(uint32_t)>* work_ = nullptr;
  std::atomic<uint32_t> round_{0};    // counts calls of run; odd values are never special
  std::atomic<uint32_t> arrived_{0};  // at the current barrier
  std::atomic<uint32_t> phase_{0};    // counts barriers passed
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
};

}  // namespace hearth
