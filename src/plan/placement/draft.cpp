#include "plan/placement/draft.h"

#include <algorithm>
#include <limits>

namespace hearth {
namespace {

constexpr uint64_t most = std::numeric_limits<uint64_t>::max();

uint64_t plus(uint64_t a, uint64_t b) { return a > most - b ? most : a + b; }
uint64_t times(uint64_t a, uint64_t b) { return b != 0 && a > most / b ? most : a * b; }
uint64_t room(const DeviceBudget& b) { return b.usable - std::min(b.usable, b.overhead); }

}  // namespace

uint64_t Use::anonymous() const noexcept {
  return plus(plus(plus(copied, kv), plus(arena, workspace)), results);
}

uint64_t most_pages(const DeviceBudget& device, const CacheProfile& group, KvTypes kv) noexcept {
  CacheProfile layer = group;
  layer.layers = 1;
  const uint64_t page = page_bytes(layer, kv);
  if (device.layer_cache.bytes == 0 || page == 0) return most;
  return times(device.layer_cache.bytes / page, device.layer_cache.pieces);
}

uint32_t results_of(const Terms& terms, uint32_t rows) noexcept {
  return std::min(rows, std::max(terms.parallel, page_tokens));
}

uint64_t pages_of(const Terms& terms, const CacheProfile& cache) noexcept {
  return pages_for(cache, terms.context, terms.parallel);
}

Draft::Draft(const MemoryProfile& model, std::span<const DeviceBudget> devices, const Terms& terms)
    : model_(model), devices_(devices), terms_(terms), at_(model.parts.size()) {}

void Draft::force(size_t part, uint32_t device) { at_[part] = device; }

bool Draft::put(size_t part, uint32_t device) {
  const DeviceBudget& b = devices_[device];
  if (part < b.refusals.size() && !b.refusals[part].empty()) return false;
  const auto& groups = model_.parts[part].caches;
  const bool caches =
      std::any_of(groups.begin(), groups.end(), [&](uint16_t g) { return model_.caches[g].state == 0; });
  if (caches && !b.kv.empty() && std::find(b.kv.begin(), b.kv.end(), terms_.kv) == b.kv.end()) return false;
  const auto before = at_[part];
  at_[part] = device;
  if (fits(device) && fits_shared()) return true;
  at_[part] = before;
  return false;
}

bool Draft::complete() const {
  return std::all_of(at_.begin(), at_.end(), [](const auto& at) { return at.has_value(); });
}

bool Draft::fits() const {
  for (uint32_t d = 0; d < devices_.size(); ++d) {
    if (!fits(d)) return false;
  }
  return complete() && fits_shared();
}

bool Draft::fits(uint32_t device) const {
  const DeviceBudget& b = devices_[device];
  const Use u = use(device);
  if (!u.any) return true;
  if (b.mapped_limit != 0 && plus(u.anonymous(), u.mapped) > b.mapped_limit) return false;
  return u.anonymous() <= room(b) && in_pieces(device, u);
}

bool Draft::in_pieces(uint32_t device, const Use& u) const {
  const DeviceBudget& b = devices_[device];
  if (b.largest_allocation != 0 && std::max({u.arena, u.workspace, u.results}) > b.largest_allocation)
    return false;
  for (size_t p = 0; p < at_.size() && b.layer_cache.bytes != 0; ++p) {
    if (at_[p] != std::optional(device)) continue;
    for (const uint16_t group : model_.parts[p].caches) {
      const CacheProfile& cache = model_.caches[group];
      if (pages_of(terms_, cache) > most_pages(b, cache, terms_.kv)) return false;
    }
  }
  return true;
}

// Integrated GPUs and the host take from the same memory.
bool Draft::fits_shared() const {
  uint64_t taken = 0, host = most;
  bool shared = false;
  for (uint32_t d = 0; d < devices_.size(); ++d) {
    const DeviceBudget& b = devices_[d];
    if (b.maps_weights) host = room(b);
    if (b.maps_weights || b.host_memory) taken = plus(taken, use(d).anonymous());
    shared = shared || b.host_memory;
  }
  return !shared || taken <= host;
}

void Draft::add(size_t part, uint32_t device, Use& u) const {
  const PartProfile& p = model_.parts[part];
  const DeviceBudget& b = devices_[device];
  u.any = true;
  for (const uint16_t group : p.caches) {
    CacheProfile one = model_.caches[group];
    one.layers = 1;
    u.kv = plus(u.kv, times(pages_of(terms_, one), page_bytes(one, terms_.kv)));
  }
  if (p.kind == PartKind::head)
    u.results = results_of(terms_, model_.steps[terms_.step].rows) * model_.result_row;
  const uint64_t own = b.resident.empty() ? (b.maps_weights ? 0 : p.weights) : b.resident[part];
  const bool in_file = b.maps_weights && terms_.host_copy && own == 0;
  const bool head_holds_it =
      p.kind == PartKind::embed && model_.tied && !in_file && at_.back() == std::optional(device);
  if (head_holds_it) return;
  if (b.maps_weights && (!terms_.host_copy || own == 0)) {
    u.mapped = plus(u.mapped, p.weights);
  } else {
    u.copied = plus(u.copied, own);
  }
}

Use Draft::use(uint32_t device) const {
  Use u;
  for (size_t p = 0; p < at_.size(); ++p) {
    if (at_[p] == std::optional(device)) add(p, device, u);
  }
  if (!u.any) return u;
  const RowClass& step = model_.steps[terms_.step];
  const auto& own = devices_[device].workspace;
  u.arena = step.arena;
  u.workspace = terms_.step < own.size() ? own[terms_.step] : step.workspace;
  return u;
}

uint32_t Draft::crossings() const {
  uint32_t n = 0;
  for (size_t p = 1; p < at_.size(); ++p) n += at_[p] != at_[p - 1] ? 1 : 0;
  return n;
}

Plan Draft::plan(const Wish& wish) const {
  Plan plan;
  plan.context = terms_.context;
  plan.parallel = terms_.parallel;
  plan.rows = model_.steps[terms_.step].rows;
  plan.results = results_of(terms_, plan.rows);
  plan.kv = wish.kv;
  for (const CacheProfile& cache : model_.caches)
    plan.pages.push_back(static_cast<uint32_t>(pages_of(terms_, cache)));
  for (uint32_t d = 0; d < devices_.size(); ++d) {
    const Use u = use(d);
    DeviceBuffers held{devices_[d].device, {}, plan.pages, plan.kv};
    if (u.any) {
      if (u.copied != 0) held.buffers.push_back({BufferKind::weights, u.copied, false});
      if (u.mapped != 0) held.buffers.push_back({BufferKind::weights, u.mapped, true});
      held.buffers.push_back({BufferKind::kv, u.kv, false});
      held.buffers.push_back({BufferKind::arena, u.arena, false});
      held.buffers.push_back({BufferKind::workspace, u.workspace, false});
      held.buffers.push_back({BufferKind::results, u.results, false});
    }
    plan.devices.push_back(std::move(held));
  }
  for (size_t p = 0; p < at_.size(); ++p)
    plan.parts.push_back({model_.parts[p].kind, model_.parts[p].layer, *at_[p]});
  // At most four rows of activations are on their way at once: residual, norm, route and result of experts.
  if (crossings() > 0) plan.crossing = uint64_t{4} * plan.rows * model_.width * sizeof(float);
  return plan;
}

}  // namespace hearth
