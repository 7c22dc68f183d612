// How fast the device multiplies when nothing has to be fetched.
#include <algorithm>
#include <chrono>

#include "device/cpu/cpu_device.h"

namespace hearth::cpu {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_of(ThreadTeam& team, const PeakKernel& peak, uint64_t rounds) {
  const auto begin = Clock::now();
  team.run([&](uint32_t) { peak.run(rounds); });
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

}  // namespace

// The best of a few runs of some milliseconds: whoever else uses the processor can only make it slower.
double CpuDevice::product_rate() {
  const PeakKernel& peak = *table_.peak;
  uint64_t rounds = 1000;
  constexpr double enough = 0.005;
  while (seconds_of(team_, peak, rounds) < enough) rounds *= 2;
  double best = 0;
  constexpr int runs = 10;
  for (int i = 0; i < runs; ++i) {
    const double operations = static_cast<double>(rounds * peak.operations) * team_.size();
    best = std::max(best, operations / seconds_of(team_, peak, rounds));
  }
  return best;
}

}  // namespace hearth::cpu
