#include "base/threads.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>

#include "base/memory.h"

namespace hearth {
namespace {

// A made-up /proc and /sys in a folder.
class FakeRoot {
 public:
  FakeRoot() : root_(std::filesystem::temp_directory_path() / ("hearth-root-" + std::to_string(::getpid()))) {
    std::filesystem::remove_all(root_);
  }
  ~FakeRoot() { std::filesystem::remove_all(root_); }
  FakeRoot(const FakeRoot&) = delete;
  FakeRoot& operator=(const FakeRoot&) = delete;

  void put(const std::string& path, const std::string& text) const {
    const std::filesystem::path file = root_ / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  std::string path() const { return root_.string(); }

 private:
  std::filesystem::path root_;
};

TEST(ThreadBudget, QuotaOfAnAncestorIsRoundedDown) {
  const FakeRoot root;
  root.put("proc/self/cgroup", "0::/a/b\n");
  root.put("sys/fs/cgroup/a/cpu.max", "190000 100000\n");
  root.put("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  const ThreadBudget budget = thread_budget(root.path());
  EXPECT_EQ(budget.threads, 1U) << budget.reason;
}

TEST(ThreadBudget, VersionOneQuota) {
  const FakeRoot root;
  root.put("proc/self/cgroup", "4:cpu,cpuacct:/docker/x\n3:memory:/docker/x\n");
  root.put("sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "50000\n");
  root.put("sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n");
  const ThreadBudget budget = thread_budget(root.path());
  EXPECT_EQ(budget.threads, 1U);
  EXPECT_TRUE(budget.quota);
  EXPECT_NE(budget.reason.find("0.50"), std::string::npos) << budget.reason;
}

TEST(ThreadBudget, SiblingsCountOnce) {
  const FakeRoot root;
  for (int cpu = 0; cpu < 1024; ++cpu) {
    root.put("sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list",
             "0-1023\n");
    if (cpu > 64) break;
  }
  EXPECT_EQ(thread_budget(root.path()).threads, 1U);
}

TEST(ThreadTeam, EveryThreadPassesEveryBarrier) {
  for (const bool spin : {true, false}) {
    ThreadTeam team(4, spin);
    std::atomic<int> sum{0};
    std::atomic<bool> early{false};
    for (int round = 0; round < 200; ++round) {
      sum = 0;
      team.run([&](uint32_t) {
        ++sum;
        team.barrier();
        if (sum != 4) early = true;
        team.barrier();
        ++sum;
      });
      ASSERT_EQ(sum, 8);
    }
    EXPECT_FALSE(early);
  }
}

TEST(Memory, LimitOfTheGroupBoundsTheSystem) {
  const FakeRoot root;
  root.put("proc/meminfo", "MemTotal: 100 kB\nMemFree: 1 kB\nMemAvailable: 1000000 kB\n");
  EXPECT_EQ(available_memory(root.path()), 1000000ULL * 1024);
  root.put("proc/self/cgroup", "0::/a\n");
  root.put("sys/fs/cgroup/a/memory.max", "500000\n");
  root.put("sys/fs/cgroup/a/memory.current", "300000\n");
  root.put("sys/fs/cgroup/a/memory.stat", "anon 100\ninactive_file 100000\nactive_file 50000\n");
  EXPECT_EQ(available_memory(root.path()), 350000U);
}

}  // namespace
}  // namespace hearth
