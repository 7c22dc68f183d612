#include "hardware/budgets.h"

#include <algorithm>
#include <array>

#include "protocol/budget.h"

namespace hearth {
namespace {

// Left free for what drivers take beside our buffers, and for others on the same memory.
constexpr uint64_t card_overhead = 256ULL << 20, shared_overhead = 1ULL << 30;

// A type of cache is left out where it was tried and came out right with no size of heads.
bool computes(const ProbeVerdict& verdict, KvType type) {
  bool failed = false;
  for (const VariantVerdict& v : verdict.variants) {
    if (!v.kernel.starts_with(attend_kernel) || v.k != to_string(type) || v.v != v.k) continue;
    if (v.passed) return true;
    failed = failed || !v.cause.starts_with("not tried");
  }
  return !failed;
}

}  // namespace

DeviceBudget budget_of(const ProbeVerdict& verdict) {
  DeviceBudget b = budget_from(verdict);
  b.usable = 0;
  b.host_memory = b.host_memory || (verdict.kind == "cpu" && !b.maps_weights);
  if (!b.maps_weights) b.overhead = b.host_memory ? shared_overhead : card_overhead;
  constexpr std::array types{KvType::f32, KvType::f16, KvType::q8_0, KvType::q4_0};
  std::vector<KvTypes> right;
  for (const KvType k : types) {
    for (const KvType v : types) {
      if (computes(verdict, k) && computes(verdict, v)) right.push_back({k, v});
    }
  }
  if (right.size() < types.size() * types.size())
    b.kv = std::move(right);  // else all: the planner's empty list
  return b;
}

}  // namespace hearth
