#include "protocol/budget.h"

namespace hearth {
namespace {

// Of the bandwidth that a sweep reads, what generation reaches (docs/performance.md).
constexpr double memory_share = 0.85;

}  // namespace

DeviceBudget budget_from(const ProbeVerdict& verdict) {
  DeviceBudget b;
  b.device = verdict.device;
  b.maps_weights = verdict.backend == "cpu";
  b.host_memory = verdict.kind == "integrated";
  b.usable = verdict.memory.usable;
  b.largest_allocation = verdict.memory.largest_allocation;
  b.layer_cache = verdict.memory.layer_cache;
  b.rates.memory = memory_share * verdict.rates.memory_gbs * 1e9;
  b.rates.flops = verdict.rates.prompt_gflops * 1e9;
  b.rates.measured = b.rates.memory > 0;
  return b;
}

}  // namespace hearth
