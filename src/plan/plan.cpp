#include "plan/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/checked.h"
#include "base/error.h"

namespace hearth {
namespace {

constexpr std::array<std::string_view, 4> kv_names{"f32", "f16", "q8_0", "q4_0"};
constexpr std::array<std::string_view, 5> buffer_names{"weights", "kv", "arena", "workspace", "results"};
constexpr uint32_t default_context = 8192;
constexpr uint32_t least_context = 512;

uint32_t pages_for(uint32_t context, uint32_t parallel) {
  return (context + page_tokens - 1) / page_tokens * parallel;
}

// The largest row class within the wish; the smallest there is when the wish is smaller still.
const RowClass& row_class(const MemoryProfile& model, uint32_t rows) {
  const RowClass* best = &model.steps.front();
  for (const RowClass& c : model.steps) {
    if (c.rows <= rows) best = &c;
  }
  return *best;
}

// `copy`: the device holds its own copy of the weights.
Plan build(const MemoryProfile& model, const DeviceBudget& device, const Wish& wish, const RowClass& step,
           bool copy) {
  Plan plan;
  plan.context = wish.context;
  plan.parallel = wish.parallel;
  plan.rows = step.rows;
  plan.results = std::min(step.rows, std::max(wish.parallel, page_tokens));
  plan.kv = wish.kv;
  uint64_t kv = 0;
  for (const CacheProfile& cache : model.caches) {
    plan.pages.push_back(pages_for(wish.context, wish.parallel));
    kv += plan.pages.back() * page_bytes(cache, wish.kv);
  }
  plan.device.device = device.device;
  plan.device.buffers = {
      {BufferKind::weights, copy ? model.resident : model.weights, device.maps_weights && !copy},
      {BufferKind::kv, kv, false},
      {BufferKind::arena, step.arena, false},
      {BufferKind::workspace, step.workspace, false},
      {BufferKind::results, plan.results * model.result_row, false}};
  return plan;
}

bool fits(const Plan& plan, const DeviceBudget& device) { return plan.device.anonymous() <= device.usable; }

void note_departures(const MemoryProfile& model, const DeviceBudget& device, uint32_t context,
                     uint32_t wanted, Plan& plan) {
  if (model.resident != 0) {
    plan.notes.push_back(fmt::format(
        "weights are read from the file's mapping, which is slower: a copy of {} MiB beside the rest does "
        "not fit into {} MiB",
        model.resident >> 20, device.usable >> 20));
  }
  if (context != wanted) {
    plan.notes.push_back(fmt::format("context {} instead of {}: that is what fits into {} MiB", context,
                                     wanted, device.usable >> 20));
  }
}

// Single changes that make a refused wish fit.
std::vector<std::string> changes(const MemoryProfile& model, const DeviceBudget& device, const Wish& wish) {
  std::vector<std::string> found;
  for (const KvType type : {KvType::q8_0, KvType::q4_0}) {
    Wish other = wish;
    other.kv = {type, type};
    if (type > std::max(wish.kv.k, wish.kv.v) &&
        fits(build(model, device, other, row_class(model, wish.rows), false), device)) {
      found.push_back(fmt::format("a {} cache", to_string(type)));
      break;
    }
  }
  for (uint32_t context = wish.context / 2; context >= page_tokens; context /= 2) {
    Wish other = wish;
    other.context = context;
    if (fits(build(model, device, other, row_class(model, wish.rows), false), device)) {
      found.push_back(fmt::format("a context of {} tokens", context));
      break;
    }
  }
  return found;
}

}  // namespace

std::string_view to_string(KvType type) noexcept { return kv_names[static_cast<size_t>(type)]; }
std::string_view to_string(BufferKind kind) noexcept { return buffer_names[static_cast<size_t>(kind)]; }

KvType find_kv_type(std::string_view name) {
  for (size_t i = 0; i < kv_names.size(); ++i) {
    if (kv_names[i] == name) return static_cast<KvType>(i);
  }
  throw Error(Code::bad_request, fmt::format("unknown cache type '{}'", name), "use f32, f16, q8_0 or q4_0");
}

uint64_t kv_row_bytes(KvType type, uint32_t values) noexcept {
  switch (type) {
    case KvType::f32: return uint64_t{4} * values;
    case KvType::f16: return uint64_t{2} * values;
    case KvType::q8_0: return uint64_t{34} * ((values + 31) / 32);
    case KvType::q4_0: return uint64_t{18} * ((values + 31) / 32);
  }
  return 0;
}

uint64_t page_bytes(const CacheProfile& cache, KvTypes types) noexcept {
  const uint64_t token = kv_row_bytes(types.k, cache.k_size) + kv_row_bytes(types.v, cache.v_size);
  return align_up(token * cache.kv_heads * page_tokens, 64) * cache.layers;
}

uint64_t DeviceBuffers::of(BufferKind kind) const noexcept {
  uint64_t sum = 0;
  for (const Buffer& b : buffers) sum += b.kind == kind ? b.bytes : 0;
  return sum;
}

uint64_t DeviceBuffers::anonymous() const noexcept {
  uint64_t sum = 0;
  for (const Buffer& b : buffers) sum += b.mapped ? 0 : b.bytes;
  return sum;
}

std::variant<Plan, Shortfall> place(const MemoryProfile& model, const DeviceBudget& device,
                                    const Wish& wish) {
  Wish exact = wish;
  if (wish.context == 0)
    exact.context = std::min(model.context == 0 ? default_context : model.context, default_context);
  const uint32_t wanted = exact.context;
  // A copy of the weights in huge pages is the faster way; it gives way before the context shrinks.
  if (model.resident != 0 && device.maps_weights) {
    Plan plan = build(model, device, exact, row_class(model, wish.rows), true);
    if (fits(plan, device)) return plan;
  }
  for (;; exact.context /= 2) {
    for (uint32_t rows = std::max(wish.rows, model.steps.front().rows);;) {
      const RowClass& step = row_class(model, rows);
      Plan plan = build(model, device, exact, step, false);
      if (fits(plan, device)) {
        note_departures(model, device, exact.context, wanted, plan);
        return plan;
      }
      if (step.rows == model.steps.front().rows) break;
      rows = step.rows - 1;
    }
    if (wish.context != 0 || exact.context / 2 < least_context) break;
  }
  exact.context = wanted;
  const Plan plan = build(model, device, exact, model.steps.front(), false);
  return Shortfall{plan.device.anonymous(), device.usable, changes(model, device, exact)};
}

}  // namespace hearth
