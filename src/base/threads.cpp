#include "base/threads.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>
#include <sstream>

namespace hearth {
namespace {

std::vector<uint32_t> allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<uint32_t> cpus;
  if (::sched_getaffinity(0, sizeof set, &set) == 0) {
    for (uint32_t i = 0; i < CPU_SETSIZE; ++i) {
      if (CPU_ISSET(i, &set)) cpus.push_back(i);
    }
  }
  return cpus;
}

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// One processor per physical core: the first of each sibling list. Where the list is missing every processor
// counts.
uint32_t physical_cores(const std::string& root, const std::vector<uint32_t>& cpus) {
  std::set<std::string> cores;
  for (const uint32_t cpu : cpus) {
    const std::string siblings =
        first_line(fmt::format("{}/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", root, cpu));
    cores.insert(siblings.empty() ? std::to_string(cpu) : siblings);
  }
  return static_cast<uint32_t>(cores.size());
}

// The quota of one folder in processors, or infinity: cpu.max (v2), cpu.cfs_quota_us / cpu.cfs_period_us
// (v1).
double folder_quota(const std::string& folder) {
  double quota = 0, period = 0;
  if (std::istringstream v2(first_line(folder + "/cpu.max")); v2 >> quota >> period && period > 0)
    return quota / period;
  std::istringstream v1(first_line(folder + "/cpu.cfs_quota_us"));
  std::istringstream v1_period(first_line(folder + "/cpu.cfs_period_us"));
  if (v1 >> quota && v1_period >> period && quota > 0 && period > 0) return quota / period;
  return INFINITY;
}

struct Quota {
  double cpus = INFINITY;
  std::string folder;
};

// The smallest quota from the process's own group up to the root, in every hierarchy that limits CPU time.
Quota cgroup_quota(const std::string& root) {
  Quota least;
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const size_t a = line.find(':'), b = line.find(':', a + 1);
    if (a == std::string::npos || b == std::string::npos) continue;
    const std::string controllers = line.substr(a + 1, b - a - 1);
    const bool v1 = !controllers.empty();
    if (v1 && ("," + controllers + ",").find(",cpu,") == std::string::npos) continue;
    std::string path = line.substr(b + 1);
    for (const std::string& base :
         v1 ? std::vector<std::string>{"/sys/fs/cgroup/" + controllers, "/sys/fs/cgroup/cpu"}
            : std::vector<std::string>{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
      for (std::string at = path;; at.resize(at.rfind('/'))) {
        std::string folder = root;
        folder.append(base).append(at);
        if (const double cpus = folder_quota(folder); cpus < least.cpus) least = {cpus, folder};
        if (at.empty() || at.rfind('/') == std::string::npos) break;
      }
    }
  }
  return least;
}

void relax() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

ThreadBudget thread_budget(const std::string& root) {
  const std::vector<uint32_t> cpus = allowed_cpus();
  ThreadBudget budget;
  const uint32_t cores = std::max(1U, physical_cores(root, cpus));
  budget.threads = cores;
  budget.reason = fmt::format("{} physical core(s) of {} allowed processor(s)", cores, cpus.size());
  const Quota quota = cgroup_quota(root);
  if (quota.cpus < cores) {
    budget.threads = std::max(1U, static_cast<uint32_t>(quota.cpus));
    budget.reason = fmt::format("cgroup quota of {:.2f} processors in {}", quota.cpus, quota.folder);
  }
  budget.quota = quota.cpus < static_cast<double>(cpus.size());
  return budget;
}

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
