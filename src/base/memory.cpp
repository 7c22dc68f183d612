#include "base/memory.h"

#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

namespace hearth {
namespace {

constexpr uint64_t unlimited = std::numeric_limits<uint64_t>::max();

// A number in a file; `otherwise` where there is none or it says "max".
uint64_t read_number(const std::string& path, uint64_t otherwise) {
  std::ifstream file(path);
  uint64_t value = 0;
  return file >> value ? value : otherwise;
}

uint64_t system_available(const std::string& root) {
  std::ifstream file(root + "/proc/meminfo");
  std::string key, unit;
  for (uint64_t kib = 0; file >> key >> kib;) {
    if (key == "MemAvailable:") return kib * 1024;
    std::getline(file, unit);
  }
  return unlimited;
}

// The file cache counts as used in a cgroup and is given back under pressure: it does not count here.
uint64_t reclaimable(const std::string& folder) {
  std::ifstream file(folder + "/memory.stat");
  std::string key;
  uint64_t sum = 0;
  for (uint64_t value = 0; file >> key >> value;) {
    if (key == "inactive_file" || key == "active_file" || key == "total_inactive_file") sum += value;
  }
  return sum;
}

uint64_t folder_available(const std::string& folder) {
  uint64_t limit = read_number(folder + "/memory.max", unlimited);
  uint64_t used = read_number(folder + "/memory.current", 0);
  if (limit == unlimited) {
    limit = read_number(folder + "/memory.limit_in_bytes", unlimited);
    used = read_number(folder + "/memory.usage_in_bytes", 0);
  }
  if (limit >= cgroup_no_limit) return unlimited;
  const uint64_t held = used - std::min(used, reclaimable(folder));
  return limit - std::min(limit, held);
}

}  // namespace

uint64_t available_memory(const std::string& root) {
  return std::min(system_available(root), available_in_group(root));
}

uint64_t available_in_group(const std::string& root) {
  uint64_t least = unlimited;
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const size_t a = line.find(':'), b = line.find(':', a + 1);
    if (a == std::string::npos || b == std::string::npos) continue;
    const std::string controllers = line.substr(a + 1, b - a - 1);
    if (!controllers.empty() && controllers != "memory") continue;
    const std::string base = root + "/sys/fs/cgroup" + (controllers.empty() ? "" : "/memory");
    for (std::string at = line.substr(b + 1);; at.resize(at.rfind('/'))) {
      least = std::min(least, folder_available(base + at));
      if (at.empty() || at.rfind('/') == std::string::npos) break;
    }
  }
  return least;
}

uint64_t peak_resident_memory() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace hearth
