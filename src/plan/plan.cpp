#include "plan/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "plan/placement/draft.h"

namespace hearth {
namespace {

constexpr std::array<std::string_view, 5> buffer_names{"weights", "kv", "arena", "workspace", "results"};
constexpr std::array<std::string_view, 4> part_names{"embeddings", "layer", "experts", "head"};
constexpr uint32_t default_context = 8192;
constexpr uint32_t least_context = 512;
// A context that nobody asked for takes no more than a quarter of a card and leaves a fifth of it free: other
// models and a desktop want memory too.
constexpr double most_cache = 0.25, free_after_growth = 0.2;

bool leaves_room(const Plan& plan, std::span<const DeviceBudget> devices) {
  for (uint32_t d = 0; d < devices.size(); ++d) {
    if (!plan.uses(d)) continue;
    const double room =
        static_cast<double>(devices[d].usable - std::min(devices[d].usable, devices[d].overhead));
    if (devices[d].maps_weights) return false;
    const DeviceBuffers& held = plan.devices[d];
    if (static_cast<double>(held.anonymous()) > (1 - free_after_growth) * room) return false;
    if (static_cast<double>(held.of(BufferKind::kv)) > most_cache * room) return false;
  }
  return true;
}

// A larger piece than the driver gives is in the way of this context; empty where it is not.
std::string piece_in_the_way(const MemoryProfile& model, std::span<const DeviceBudget> devices,
                             const Wish& wish, uint32_t context) {
  std::vector<DeviceBudget> free(devices.begin(), devices.end());
  bool limited = false;
  for (DeviceBudget& d : free) {
    limited = limited || d.largest_allocation != 0 || d.layer_cache.bytes != 0;
    d.largest_allocation = 0;
    d.layer_cache = {};
  }
  if (!limited) return {};
  const auto plan = best_plan(model, free, wish, context);
  for (uint32_t d = 0; plan && d < devices.size(); ++d) {
    const DeviceBudget& device = devices[d];
    if (!plan->uses(d)) continue;
    for (const Buffer& b : plan->devices[d].buffers) {
      const bool whole = b.kind != BufferKind::weights && b.kind != BufferKind::kv;
      if (whole && device.largest_allocation != 0 && b.bytes > device.largest_allocation)
        return fmt::format("{} of {} MiB: {} gives {} MiB in one piece", to_string(b.kind), b.bytes >> 20,
                           device.device, device.largest_allocation >> 20);
    }
    for (size_t g = 0; g < model.caches.size(); ++g) {
      if (plan->pages[g] <= most_pages(device, model.caches[g], plan->kv)) continue;
      CacheProfile layer = model.caches[g];
      layer.layers = 1;
      return fmt::format("a layer's cache of {} MiB: {} takes {} pieces of {} MiB",
                         plan->pages[g] * page_bytes(layer, plan->kv) >> 20, device.device,
                         device.layer_cache.pieces, device.layer_cache.bytes >> 20);
    }
  }
  return {};
}

// A context that nobody asked for grows as long as everything stays on the accelerators.
Plan grown(Plan plan, const MemoryProfile& model, std::span<const DeviceBudget> devices, const Wish& wish) {
  while (plan.context < model.context && leaves_room(plan, devices)) {
    const auto wider = static_cast<uint32_t>(std::min<uint64_t>(uint64_t{plan.context} * 2, model.context));
    auto next = best_plan(model, devices, wish, wider);
    if (!next || next->rows < plan.rows || !leaves_room(*next, devices)) break;
    plan = std::move(*next);
  }
  return plan;
}

// Requests that nobody counted share a pool of as many tokens as a default context has, where that is little
// beside what a device has: in a smaller one they would drive each other out.
Plan shared(Plan plan, const MemoryProfile& model, std::span<const DeviceBudget> devices, Wish wish) {
  constexpr uint32_t most = 16, part_of_device = 32;
  const auto little = [&](const Plan& more) {
    for (uint32_t d = 0; d < devices.size(); ++d) {
      const uint64_t room = devices[d].usable / part_of_device;
      if (more.devices[d].anonymous() > plan.devices[d].anonymous() + room) return false;
      if (more.devices[d].copies_weights() != plan.devices[d].copies_weights()) return false;
    }
    return more.rows == plan.rows && more.parts == plan.parts;
  };
  const bool tokens =
      std::any_of(model.caches.begin(), model.caches.end(), [](const auto& c) { return c.state == 0; });
  wish.parallel = tokens ? std::min(most, default_context / std::max(plan.context, 1U)) : most;
  for (; wish.parallel > 1; wish.parallel /= 2) {
    auto more = best_plan(model, devices, wish, plan.context);
    if (more && little(*more)) return std::move(*more);
  }
  return plan;
}

void note_mapping(const MemoryProfile&, std::span<const DeviceBudget> devices, Plan& plan) {
  for (uint32_t d = 0; d < devices.size(); ++d) {
    uint64_t copy = 0;
    for (size_t p = 0; p < plan.parts.size() && !devices[d].resident.empty(); ++p)
      copy += plan.parts[p].device == d ? devices[d].resident[p] : 0;
    if (!devices[d].maps_weights || copy == 0 || plan.devices[d].copies_weights()) continue;
    plan.notes.push_back(fmt::format(
        "weights are read from the file's mapping, which is slower: a copy of {} MiB beside the rest does "
        "not fit into {} MiB",
        copy >> 20, devices[d].usable >> 20));
  }
}

void note_refusals(const MemoryProfile& model, std::span<const DeviceBudget> devices, Plan& plan) {
  for (const DeviceBudget& d : devices) {
    size_t count = 0, first = 0;
    for (size_t p = 0; p < d.refusals.size(); ++p) {
      if (!d.refusals[p].empty() && count++ == 0) first = p;
    }
    if (count == 0) continue;
    plan.notes.push_back(fmt::format("{} of {} parts are not computed on {}: {}", count, model.parts.size(),
                                     d.device, d.refusals[first]));
  }
}

// Parts that lie on the host although there are accelerators.
void note_split(const MemoryProfile& model, std::span<const DeviceBudget> devices, const Wish& wish,
                Plan& plan) {
  const bool card =
      std::any_of(devices.begin(), devices.end(), [](const auto& d) { return !d.maps_weights; });
  for (uint32_t d = 0; d < devices.size() && card && !wish.gpu_layers; ++d) {
    if (!devices[d].maps_weights || !plan.uses(d)) continue;
    uint32_t layers = plan.layers_on(d), all = 0, experts = 0;
    for (const Placement& p : plan.parts) {
      all += p.kind == PartKind::layer ? 1 : 0;
      experts += p.kind == PartKind::experts && p.device == d ? 1 : 0;
    }
    const std::string what = layers > 0    ? fmt::format("{} of {} layers", layers, all)
                             : experts > 0 ? fmt::format("the experts of {} layers", experts)
                                           : "the table of embeddings";
    const std::string piece = piece_in_the_way(model, devices, wish, plan.context);
    plan.notes.push_back(piece.empty()
                             ? fmt::format("{} on {}: the accelerators have no room for more, or are slower",
                                           what, devices[d].device)
                             : fmt::format("{} on {}: more on the accelerators would take {}", what,
                                           devices[d].device, piece));
  }
}

}  // namespace

std::string_view to_string(BufferKind kind) noexcept { return buffer_names[static_cast<size_t>(kind)]; }
std::string_view to_string(PartKind kind) noexcept { return part_names[static_cast<size_t>(kind)]; }

uint64_t MemoryProfile::weights() const noexcept {
  uint64_t sum = 0;
  for (const PartProfile& p : parts) sum += p.kind == PartKind::embed && tied ? 0 : p.weights;
  return sum;
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

uint64_t DeviceBuffers::mapped() const noexcept {
  uint64_t sum = 0;
  for (const Buffer& b : buffers) sum += b.mapped ? b.bytes : 0;
  return sum;
}

bool DeviceBuffers::copies_weights() const noexcept {
  return std::any_of(buffers.begin(), buffers.end(), [](const Buffer& b) {
    return b.kind == BufferKind::weights && !b.mapped && b.bytes != 0;
  });
}

uint64_t Plan::anonymous() const noexcept {
  uint64_t sum = crossing;
  for (const DeviceBuffers& d : devices) sum += d.anonymous();
  return sum;
}

bool Plan::uses(uint32_t device) const noexcept {
  return std::any_of(parts.begin(), parts.end(), [&](const Placement& p) { return p.device == device; });
}

uint32_t Plan::layers_on(uint32_t device) const noexcept {
  return static_cast<uint32_t>(std::count_if(parts.begin(), parts.end(), [&](const Placement& p) {
    return p.kind == PartKind::layer && p.device == device;
  }));
}

std::string Shortfall::remedy() const {
  if (would_fit.empty()) return "free memory or use a smaller model";
  std::vector<std::string_view> texts;
  for (const Change& c : would_fit) texts.push_back(c.text);
  return fmt::format("would fit: {}", fmt::join(texts, ", or "));
}

std::optional<Plan> best_plan(const MemoryProfile& model, std::span<const DeviceBudget> devices,
                              const Wish& wish, uint32_t context) {
  size_t widest = 0;  // the largest row class within the wish
  for (size_t i = 0; i < model.steps.size(); ++i) {
    if (model.steps[i].rows <= wish.rows) widest = i;
  }
  std::vector<Terms> tries;
  const bool copies = std::any_of(devices.begin(), devices.end(),
                                  [](const auto& d) { return d.maps_weights && !d.resident.empty(); });
  // A copy of the weights in huge pages is the faster way; it gives way before the context shrinks.
  if (copies) tries.push_back({context, wish.requests(), widest, true, wish.kv});
  for (size_t step = widest + 1; step-- > 0;)
    tries.push_back({context, wish.requests(), step, false, wish.kv});
  std::optional<Draft> best;
  double least = 0;
  for (const Terms& terms : tries) {
    auto draft = best_placement(model, devices, wish, terms);
    if (!draft) continue;
    const double s = score(model, devices, *draft);
    if (best && s >= 0.98 * least) continue;
    best.emplace(std::move(*draft));
    least = s;
    const bool on_card = !devices[*best->at(0)].maps_weights;
    // Whole on the device where it should be: fewer rows would gain nothing.
    if (best->crossings() == 0 && (on_card || devices.size() == 1)) break;
  }
  if (!best) return std::nullopt;
  Plan plan = best->plan(wish);
  const Times fast = times(model, devices, *best, 512), full = times(model, devices, *best, context);
  plan.expected = {fast.prompt_known ? 1 / fast.prompt : 0, fast.token_known ? 1 / fast.token : 0,
                   full.token_known ? 1 / full.token : 0, fast.measured};
  return plan;
}

std::variant<Plan, Shortfall> place(const MemoryProfile& model, std::span<const DeviceBudget> devices,
                                    const Wish& wish) {
  Wish exact = wish;
  if (wish.context == 0)
    exact.context = std::min(model.context == 0 ? default_context : model.context, default_context);
  const uint32_t wanted = exact.context;
  for (;; exact.context /= 2) {
    if (auto plan = best_plan(model, devices, wish, exact.context)) {
      if (wish.context == 0 && exact.context == wanted) *plan = grown(*plan, model, devices, wish);
      if (wish.parallel == 0) *plan = shared(*plan, model, devices, wish);
      note_mapping(model, devices, *plan);
      note_refusals(model, devices, *plan);
      note_split(model, devices, wish, *plan);
      if (exact.context != wanted) {
        const std::string piece = piece_in_the_way(model, devices, wish, 2 * exact.context);
        plan->notes.push_back(
            piece.empty()
                ? fmt::format("context {} instead of {}: that is what fits into {} MiB", exact.context,
                              wanted, devices.front().usable >> 20)
                : fmt::format("context {} instead of {}: more would take {}", exact.context, wanted, piece));
      }
      return std::move(*plan);
    }
    if (wish.context != 0 || exact.context / 2 < least_context) break;
  }
  exact.context = wanted;
  const Needs needs = needs_of(model, devices, exact);
  return Shortfall{needs.needed, needs.usable, needs.mapped, piece_in_the_way(model, devices, exact, wanted),
                   changes_that_fit(model, devices, exact)};
}

std::variant<Plan, Shortfall> place(const MemoryProfile& model, const DeviceBudget& device,
                                    const Wish& wish) {
  return place(model, std::span(&device, 1), wish);
}

uint32_t largest_context(const MemoryProfile& model, std::span<const DeviceBudget> devices,
                         const Wish& wish) {
  const uint32_t limit = model.context == 0 ? default_context : model.context;
  uint32_t low = 0, high = pages_of(limit);
  while (low < high) {
    const uint32_t middle = low + (high - low + 1) / 2;
    best_plan(model, devices, wish, std::min(limit, middle * page_tokens)) ? low = middle : high = middle - 1;
  }
  return std::min(limit, low * page_tokens);
}

MemoryProfile with_bits(const MemoryProfile& model, double bits) {
  MemoryProfile other = model;
  for (PartProfile& p : other.parts) {
    const double bytes = static_cast<double>(p.values) * bits / 8;
    if (p.weights > 0)
      p.token_bytes =
          static_cast<uint64_t>(static_cast<double>(p.token_bytes) * bytes / static_cast<double>(p.weights));
    p.weights = static_cast<uint64_t>(bytes);
  }
  return other;
}

}  // namespace hearth
