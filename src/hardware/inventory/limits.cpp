// Processor and memory, and what control groups leave of them.
#include <algorithm>

#include "base/memory.h"
#include "hardware/inventory/parts.h"
#include "hardware/sysfs_text.h"

namespace hearth {
namespace {

// Quota of one folder in processors; 0 = none. cpu.max is "400000 100000" or "max 100000".
double quota_of(const SystemView& system, const std::string& folder) {
  const std::vector<std::string> max = words_in(system.file(folder + "/cpu.max", 256).text);
  uint64_t quota = 0, period = 0;
  if (max.size() == 2) {
    quota = number_or(max[0], 0);
    period = number_or(max[1], 0);
  } else {
    quota = number_or(system.file(folder + "/cpu.cfs_quota_us", 256).text, 0);  // −1 is no number: none
    period = number_or(system.file(folder + "/cpu.cfs_period_us", 256).text, 0);
  }
  return quota == 0 || period == 0 ? 0 : static_cast<double>(quota) / static_cast<double>(period);
}

uint64_t limit_of(const SystemView& system, const std::string& folder) {
  const FileText v2 = system.file(folder + "/memory.max", 256);
  const FileText text = v2 ? v2 : system.file(folder + "/memory.limit_in_bytes", 256);
  const uint64_t limit = number_or(text.text, 0);  // "max" is no number
  return limit >= cgroup_no_limit ? 0 : limit;
}

void read_quota(const SystemView& system, Processor& p) {
  for (const std::string& folder : cgroup_folders(system, "cpu")) {
    const double quota = quota_of(system, folder);
    if (quota <= 0 || (p.quota > 0 && quota >= p.quota)) continue;
    p.quota = quota;
    p.quota_folder = folder;
  }
  if (p.quota > 0)
    p.throttled = value_number(system.file(p.quota_folder + "/cpu.stat", 4096).text, "nr_throttled");
}

}  // namespace

std::vector<std::string> cgroup_folders(const SystemView& system, const std::string& controller) {
  constexpr size_t deepest = 64;
  std::vector<std::string> folders;
  const FileText groups = system.file("/proc/self/cgroup");
  for (const std::string_view line : lines_in(groups.text)) {
    const size_t a = line.find(':'), b = line.find(':', a + 1);
    if (a == std::string_view::npos || b == std::string_view::npos) continue;
    const std::string controllers(line.substr(a + 1, b - a - 1));
    const std::vector<std::string> names = words_in(controllers, ",");
    const bool v2 = controllers.empty();
    if (!v2 && std::find(names.begin(), names.end(), controller) == names.end()) continue;
    const std::string base = "/sys/fs/cgroup" + (v2 ? "" : "/" + controllers);
    std::string at(line.substr(b + 1));
    // Seen from a namespace that is not the group's own, the path begins "/..": only the root is ours.
    if (at.find("..") != std::string::npos) at = "/";
    for (size_t depth = 0; depth < deepest; ++depth) {
      while (!at.empty() && at.back() == '/') at.pop_back();
      folders.push_back(base + at);
      if (at.empty()) break;
      at.resize(std::min(at.rfind('/'), at.size()));
    }
  }
  return folders;
}

bool Processor::has(std::string_view flag) const noexcept {
  return std::find(flags.begin(), flags.end(), flag) != flags.end();
}

Processor read_processor(const SystemView& system) {
  Processor p;
  // The first processor's lines are enough.
  const FileText info = system.file("/proc/cpuinfo", 8192);
  p.model = value_of(info.text, "model name").value_or("");
  const std::string flags =
      value_of(info.text, "flags").value_or(value_of(info.text, "Features").value_or(""));
  p.flags = words_in(flags);
  p.known = !p.flags.empty();
  p.logical = count_list(system.file("/sys/devices/system/cpu/online", 4096).text);
  p.allowed = value_of(system.file("/proc/self/status").text, "Cpus_allowed_list").value_or("");
  p.allowed_count = count_list(p.allowed);
  read_quota(system, p);
  return p;
}

MemoryFacts read_memory(const SystemView& system) {
  MemoryFacts m;
  const FileText info = system.file("/proc/meminfo");
  const auto kib = [&](const char* key) {
    const uint64_t value = value_number(info.text, key);
    return value > cgroup_no_limit / 1024 ? 0 : value * 1024;
  };
  m.total = kib("MemTotal");
  m.available = kib("MemAvailable");
  m.swap = kib("SwapTotal");
  for (const std::string& folder : cgroup_folders(system, "memory")) {
    const uint64_t limit = limit_of(system, folder);
    if (limit == 0 || (m.limit != 0 && limit >= m.limit)) continue;
    m.limit = limit;
    m.limit_folder = folder;
  }
  if (m.total != 0 && m.limit >= m.total) m.limit = 0;  // it limits nothing
  return m;
}

}  // namespace hearth
