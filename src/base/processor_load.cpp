#include "base/processor_load.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>

namespace hearth {

ProcessorTimes processor_times(const std::string& root) {
  // user nice system idle iowait irq softirq steal, in ticks; what follows is part of user and nice.
  enum : size_t { idle = 3, waiting = 4, stolen = 7, fields = 8 };
  std::ifstream in(root + "/proc/stat");
  std::string name;
  std::array<double, fields> ticks{};
  if (!(in >> name) || name != "cpu") return {};
  for (double& t : ticks) in >> t;
  ProcessorTimes times;
  for (size_t i = 0; i < fields; ++i) {
    const double seconds = ticks[i] / static_cast<double>(::sysconf(_SC_CLK_TCK));
    times.total += seconds;
    times.busy += i == idle || i == waiting || i == stolen ? 0 : seconds;
    times.stolen += i == stolen ? seconds : 0;
  }
  return times;
}

double own_processor_seconds() noexcept {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

bool ProcessorLoad::busy() const noexcept {
  // A desktop at rest takes a few hundredths; one job on two processors takes a half.
  constexpr double most_others = 0.2, most_stolen = 0.05;
  return others > most_others || stolen > most_stolen;
}

ProcessorLoad load_between(const ProcessorTimes& before, const ProcessorTimes& after, double own_seconds) {
  constexpr double least = 0.1;
  const double total = after.total - before.total;
  if (total < least) return {};
  const auto share = [&](double seconds) { return std::clamp(seconds / total, 0.0, 1.0); };
  return {share(after.busy - before.busy - own_seconds), share(after.stolen - before.stolen)};
}

}  // namespace hearth
