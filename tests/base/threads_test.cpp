#include "base/threads.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <limits>
#include <thread>
#include <utility>
#include <vector>

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

// The parts of /proc and /sys that machines were found with.
struct Machine {
  const char* name;
  std::vector<std::pair<std::string, std::string>> files;
  uint32_t threads;
  bool quota;
  const char* reason;  // part of it
};

using Files = std::vector<std::pair<std::string, std::string>>;

Files operator+(Files a, const Files& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
Files allowed(const std::string& list) {
  return {{"proc/self/status", "Name:\thearth\nCpus_allowed_list:\t" + list + "\n"}};
}
// siblings[i]: the list of processor i.
Files cores(const std::vector<std::string>& siblings) {
  Files files;
  for (size_t i = 0; i < siblings.size(); ++i) {
    files.emplace_back("sys/devices/system/cpu/cpu" + std::to_string(i) + "/topology/thread_siblings_list",
                       siblings[i] + "\n");
  }
  return files;
}
Files capacities(const std::vector<int>& all) {
  Files files;
  for (size_t i = 0; i < all.size(); ++i)
    files.emplace_back("sys/devices/system/cpu/cpu" + std::to_string(i) + "/cpu_capacity",
                       std::to_string(all[i]));
  return files;
}

// Two fast cores with two threads each, four slow cores with one: a small Intel laptop.
const std::vector<std::string> hybrid_siblings{"0-1", "0-1", "2-3", "2-3", "4", "5", "6", "7"};
const Files hybrid = cores(hybrid_siblings) +
                     Files{{"sys/devices/cpu_core/cpus", "0-3\n"}, {"sys/devices/cpu_atom/cpus", "4-7\n"}};
const Files four_cores = allowed("0-7") + cores({"0,4", "1,5", "2,6", "3,7", "0,4", "1,5", "2,6", "3,7"});

std::vector<Machine> machines() {
  const Files v2 = {
      {"proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n"}};
  const Files v1 = {{"proc/self/mountinfo",
                     "31 23 0:27 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n"
                     "35 31 0:31 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
                     "36 31 0:32 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"}};
  return {
      {"siblings count once", four_cores, 4, false, "4 physical core(s) of 8"},
      {"without topology every processor counts", allowed("0-2,5"), 4, false, "of 4 allowed"},
      {"an affinity to both threads of one core", cores({"0,4", "1,5", "2,6", "3,7", "0,4"}) + allowed("0,4"),
       1, false, "1 physical core(s) of 2"},
      {"more processors than a plain mask holds", allowed("0-2047"), 2048, false, "of 2048 allowed"},
      {"a hybrid processor", hybrid + allowed("0-7"), 2, false, "4 slower core(s) left out"},
      {"kept to the slow cores of a hybrid processor", hybrid + allowed("5-7"), 3, false,
       "3 physical core(s) of 3"},
      {"a fast thread and slow cores", hybrid + allowed("1,4-5"), 1, false, "2 slower core(s) left out"},
      {"big and little cores", allowed("0-5") + capacities({446, 446, 446, 446, 1024, 1024}), 2, false,
       "4 slower"},
      {"cores that differ a little", allowed("0-3") + capacities({1024, 1009, 994, 980}), 4, false,
       "4 physical"},
      {"v2, own quota",
       four_cores + v2 +
           Files{{"proc/self/cgroup", "0::/user/app\n"},
                 {"sys/fs/cgroup/user/app/cpu.max", "250000 100000\n"}},
       2, true, "2.50 processors in"},
      {"v2, an ancestor's quota is smaller",
       four_cores + v2 +
           Files{{"proc/self/cgroup", "0::/a/b/c\n"},
                 {"sys/fs/cgroup/a/cpu.max", "199000 100000\n"},
                 {"sys/fs/cgroup/a/b/cpu.max", "max 100000\n"},
                 {"sys/fs/cgroup/a/b/c/cpu.max", "300000 100000\n"}},
       1, true, "sys/fs/cgroup/a"},
      {"v2 in a container: its root carries the quota",
       four_cores + v2 + Files{{"proc/self/cgroup", "0::/\n"}, {"sys/fs/cgroup/cpu.max", "300000 100000\n"}},
       3, true, "3.00"},
      {"v2, less than one processor",
       four_cores + v2 + Files{{"proc/self/cgroup", "0::/\n"}, {"sys/fs/cgroup/cpu.max", "50000 100000\n"}},
       1, true, "0.50"},
      {"v2, as much as there is: no quota to speak of, but threads must not spin",
       four_cores + v2 + Files{{"proc/self/cgroup", "0::/\n"}, {"sys/fs/cgroup/cpu.max", "500000 100000\n"}},
       4, true, "4 physical"},
      {"v1, an ancestor's quota",
       four_cores + v1 +
           Files{{"proc/self/cgroup", "5:cpuset:/\n4:cpu,cpuacct:/docker/x\n0::/ignored\n"},
                 {"sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_quota_us", "350000\n"},
                 {"sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_period_us", "100000\n"},
                 {"sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "-1\n"},
                 {"sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n"}},
       3, true, "3.50"},
      {"v1 in a container that sees its own part only",
       four_cores + Files{{"proc/self/mountinfo",
                           "35 31 0:31 /docker/x /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpuacct,cpu\n"},
                          {"proc/self/cgroup", "4:cpuacct,cpu:/docker/x/inner\n"},
                          {"sys/fs/cgroup/cpu/cpu.cfs_quota_us", "400000\n"},
                          {"sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"},
                          {"sys/fs/cgroup/cpu/inner/cpu.cfs_quota_us", "250000\n"},
                          {"sys/fs/cgroup/cpu/inner/cpu.cfs_period_us", "100000\n"}},
       2, true, "cpu/inner"},
      {"v1 and v2 side by side",
       four_cores + Files{{"proc/self/mountinfo",
                           "35 31 0:31 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
                           "42 31 0:40 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"},
                          {"proc/self/cgroup", "4:cpu,cpuacct:/job\n0::/job\n"},
                          {"sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "200000\n"},
                          {"sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n"}},
       2, true, "2.00"},
      {"a quota on a hybrid processor",
       hybrid + allowed("0-7") + v2 +
           Files{{"proc/self/cgroup", "0::/\n"}, {"sys/fs/cgroup/cpu.max", "190000 100000\n"}},
       1, true, "1.90"},
  };
}

TEST(ThreadBudget, OfRecordedMachines) {
  for (const Machine& m : machines()) {
    const FakeRoot root;
    for (const auto& [path, text] : m.files) root.put(path, text);
    const ThreadBudget budget = thread_budget(root.path());
    EXPECT_EQ(budget.threads, m.threads) << m.name << ": " << budget.reason;
    EXPECT_EQ(budget.quota, m.quota) << m.name;
    EXPECT_NE(budget.reason.find(m.reason), std::string::npos) << m.name << ": " << budget.reason;
  }
}

TEST(ThreadBudget, OfThisMachineIsWithinItsProcessors) {
  const ThreadBudget budget = thread_budget();
  EXPECT_GE(budget.threads, 1U);
  EXPECT_LE(budget.threads, std::max(1U, std::thread::hardware_concurrency())) << budget.reason;
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

TEST(Memory, ANumberOfPagesBeyondAllMemoryIsNoLimit) {
  const FakeRoot root;
  root.put("proc/self/cgroup", "3:memory:/\n");
  root.put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  root.put("sys/fs/cgroup/memory/memory.usage_in_bytes", "300000\n");
  EXPECT_EQ(available_in_group(root.path()), std::numeric_limits<uint64_t>::max());
}

}  // namespace
}  // namespace hearth
