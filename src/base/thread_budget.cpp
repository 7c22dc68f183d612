// How many threads are worth starting: what the system says of processors, cores and quotas.
#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "base/threads.h"

namespace hearth {
namespace {

using Cpus = std::set<uint32_t>;

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// "0-3,8,10-11"; what is no list of numbers ends it.
Cpus parse_list(const std::string& text) {
  Cpus cpus;
  std::istringstream in(text);
  for (uint32_t first = 0; in >> first;) {
    uint32_t last = first;
    if (in.peek() == '-') {
      in.get();
      if (!(in >> last)) break;
    }
    constexpr uint32_t most = 1U << 16;
    for (uint32_t cpu = first; cpu <= std::min(last, most); ++cpu) cpus.insert(cpu);
    if (in.peek() != ',') break;
    in.get();
  }
  return cpus;
}

Cpus common(const Cpus& a, const Cpus& b) {
  Cpus both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::inserter(both, both.end()));
  return both;
}

// Sizes grow: the kernel refuses a mask that is smaller than its own.
Cpus affinity() {
  for (size_t most = CPU_SETSIZE; most <= (1U << 16); most *= 4) {
    cpu_set_t* mask = CPU_ALLOC(most);
    if (mask == nullptr) break;
    const size_t bytes = CPU_ALLOC_SIZE(most);
    CPU_ZERO_S(bytes, mask);
    Cpus cpus;
    if (::sched_getaffinity(0, bytes, mask) == 0) {
      for (size_t i = 0; i < most; ++i) {
        if (CPU_ISSET_S(i, bytes, mask)) cpus.insert(static_cast<uint32_t>(i));
      }
    }
    CPU_FREE(mask);
    if (!cpus.empty()) return cpus;
  }
  return {0};
}

Cpus allowed_cpus(const std::string& root) {
  std::ifstream status(root + "/proc/self/status");
  for (std::string line; !root.empty() && std::getline(status, line);) {
    constexpr std::string_view key = "Cpus_allowed_list:\t";
    if (line.starts_with(key)) return parse_list(line.substr(key.size()));
  }
  return affinity();
}

std::string cpu_folder(const std::string& root, uint32_t cpu) {
  return fmt::format("{}/sys/devices/system/cpu/cpu{}", root, cpu);
}

// The processors among `cpus` that lie on the fastest kind of cores, or all: Intel lists the fast ones of a
// hybrid processor, elsewhere the scheduler's capacity of each processor tells them apart. Cores of one
// kind differ a little in their best frequency and are never told apart.
Cpus fastest(const std::string& root, const Cpus& cpus) {
  Cpus fast = common(cpus, parse_list(first_line(root + "/sys/devices/cpu_core/cpus")));
  if (!fast.empty()) return fast;
  std::map<uint32_t, Cpus> by_capacity;
  for (const uint32_t cpu : cpus) {
    uint32_t capacity = 0;
    std::istringstream(first_line(cpu_folder(root, cpu) + "/cpu_capacity")) >> capacity;
    by_capacity[capacity].insert(cpu);
  }
  if (by_capacity.empty() || by_capacity.contains(0)) return cpus;
  const double least = 0.75 * by_capacity.rbegin()->first;
  Cpus chosen;
  for (const auto& [capacity, some] : by_capacity) {
    if (capacity >= least) chosen.insert(some.begin(), some.end());
  }
  return chosen;
}

// Processors that share a core count once; where the list of siblings is missing every processor counts.
uint32_t physical_cores(const std::string& root, const Cpus& cpus) {
  std::set<std::string> cores;
  for (const uint32_t cpu : cpus) {
    const std::string siblings = first_line(cpu_folder(root, cpu) + "/topology/thread_siblings_list");
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

bool names_cpu(const std::string& controllers) {
  return ("," + controllers + ",").find(",cpu,") != std::string::npos;
}

// Where a hierarchy of groups is mounted, and which group its mount shows as the root.
struct Mount {
  std::string at, group;
  bool v1 = false;
};

std::vector<Mount> mounts(const std::string& root) {
  std::vector<Mount> found;
  std::ifstream file(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream front(line.substr(0, dash)), back(line.substr(dash + 3));
    std::string skipped, type, source, options;
    Mount mount;
    front >> skipped >> skipped >> skipped >> mount.group >> mount.at;
    back >> type >> source >> options;
    mount.v1 = type == "cgroup";
    if (type == "cgroup2" || (mount.v1 && names_cpu(options))) found.push_back(mount);
  }
  if (!found.empty()) return found;
  for (const char* at : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) found.push_back({at, "/", false});
  for (const char* at : {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/cpuacct,cpu"})
    found.push_back({at, "/", true});
  return found;
}

struct Quota {
  double cpus = INFINITY;
  std::string folder;
};

// The smallest quota from a group up to what its mount shows of the hierarchy. A mount may show only a part
// of it (a container's), in which the path of the group may or may not begin with the part's own.
void look_up(const std::string& root, const Mount& mount, std::string path, Quota& least) {
  if (mount.group != "/" && path.starts_with(mount.group)) path = path.substr(mount.group.size());
  for (;; path.resize(path.rfind('/'))) {
    const std::string folder = fmt::format("{}{}{}", root, mount.at, path);
    if (const double cpus = folder_quota(folder); cpus < least.cpus) least = {cpus, folder};
    if (path.rfind('/') == std::string::npos) return;
  }
}

// In every hierarchy that limits CPU time.
Quota cgroup_quota(const std::string& root) {
  Quota least;
  const std::vector<Mount> all = mounts(root);
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const size_t a = line.find(':'), b = line.find(':', a + 1);
    if (a == std::string::npos || b == std::string::npos) continue;
    const std::string controllers = line.substr(a + 1, b - a - 1);
    const bool v1 = !controllers.empty();
    if (v1 && !names_cpu(controllers)) continue;
    for (const Mount& mount : all) {
      if (mount.v1 == v1) look_up(root, mount, line.substr(b + 1), least);
    }
  }
  return least;
}

}  // namespace

ThreadBudget thread_budget(const std::string& root) {
  const Cpus allowed = allowed_cpus(root), fast = fastest(root, allowed);
  const uint32_t cores = std::max(1U, physical_cores(root, fast));
  ThreadBudget budget;
  budget.threads = cores;
  budget.reason = fmt::format("{} physical core(s) of {} allowed processor(s)", cores, allowed.size());
  if (const uint32_t slower = physical_cores(root, allowed) - physical_cores(root, fast); slower > 0)
    budget.reason += fmt::format(", {} slower core(s) left out", slower);
  const Quota quota = cgroup_quota(root);
  if (quota.cpus < cores) {
    budget.threads = std::max(1U, static_cast<uint32_t>(quota.cpus));
    budget.reason = fmt::format("cgroup quota of {:.2f} processors in {}", quota.cpus, quota.folder);
  }
  budget.quota = quota.cpus < static_cast<double>(allowed.size());
  return budget;
}

}  // namespace hearth
