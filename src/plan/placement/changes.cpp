// What is missing, and which single changes would make a refused wish fit.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "plan/placement/draft.h"

namespace hearth {
namespace {

// Bits per weight of common files, over all tensors of a model.
struct FileKind {
  std::string_view name;
  double bits;
};
constexpr std::array<FileKind, 6> file_kinds{
    {{"Q8_0", 8.5}, {"Q6_K", 6.6}, {"Q5_K_M", 5.7}, {"Q4_K_M", 4.9}, {"Q3_K_M", 4.0}, {"Q2_K", 3.2}}};

constexpr double gib = 1 << 30;

double bits_of(const MemoryProfile& model) {
  double values = 0;
  for (const PartProfile& p : model.parts) values += static_cast<double>(p.values);
  return values > 0 ? 8 * static_cast<double>(model.weights()) / values : 0;
}

class Finder {
 public:
  Finder(const MemoryProfile& model, std::span<const DeviceBudget> devices, const Wish& wish)
      : model_(model), devices_(devices), wish_(wish) {}

  std::vector<Change> run() {
    fewer_layers();
    cache_type(KvType::q8_0);
    fewer_requests();
    shorter_context();
    if (!has_cache_) cache_type(KvType::q4_0);
    smaller_file();
    more_memory();
    return std::move(found_);
  }

 private:
  bool fits(const Wish& wish) const { return best_plan(model_, devices_, wish, wish.context).has_value(); }
  void add(std::string text, const Wish& wish, double bits = 0, uint64_t usable = 0) {
    found_.push_back({std::move(text), wish, bits, usable});
  }

  void fewer_layers() {
    for (uint32_t n = wish_.gpu_layers.value_or(0); n-- > 0;) {
      Wish other = wish_;
      other.gpu_layers = std::min<uint32_t>(n, static_cast<uint32_t>(model_.parts.size()));
      n = *other.gpu_layers;
      if (fits(other)) return add(fmt::format("num_gpu {}", n), other);
    }
  }

  void cache_type(KvType type) {
    Wish other = wish_;
    other.kv = {type, type};
    if (type <= std::max(wish_.kv.k, wish_.kv.v) || !fits(other)) return;
    has_cache_ = true;
    add(fmt::format("a {} cache", to_string(type)), other);
  }

  void fewer_requests() {
    for (uint32_t n = wish_.parallel; n-- > 1;) {
      Wish other = wish_;
      other.parallel = n;
      if (fits(other)) return add(fmt::format("{} request{} at once", n, n == 1 ? "" : "s"), other);
    }
  }

  // In steps of 256 tokens, which is a figure that one can type.
  void shorter_context() {
    constexpr uint32_t step = 256;
    uint32_t low = 0, high = (wish_.context - 1) / step;
    Wish other = wish_;
    while (low < high) {
      const uint32_t middle = low + (high - low + 1) / 2;
      other.context = middle * step;
      fits(other) ? low = middle : high = middle - 1;
    }
    if (low == 0) return;
    other.context = low * step;
    add(fmt::format("a context of {} tokens", other.context), other);
  }

  void smaller_file() {
    const double bits = bits_of(model_);
    for (const FileKind& kind : file_kinds) {
      if (kind.bits > 0.95 * bits) continue;
      const MemoryProfile smaller = with_bits(model_, kind.bits);
      std::vector<DeviceBudget> devices(devices_.begin(), devices_.end());
      for (DeviceBudget& d : devices) {
        for (uint64_t& bytes : d.resident)
          bytes = static_cast<uint64_t>(static_cast<double>(bytes) * kind.bits / bits);
      }
      if (!best_plan(smaller, devices, wish_, wish_.context)) continue;
      return add(fmt::format("a {} file of the model (about {:.1f} GiB instead of {:.1f})", kind.name,
                             static_cast<double>(smaller.weights()) / gib,
                             static_cast<double>(model_.weights()) / gib),
                 wish_, kind.bits);
    }
  }

  void more_memory() {
    const Needs needs = needs_of(model_, devices_, wish_);
    std::vector<DeviceBudget> devices(devices_.begin(), devices_.end());
    DeviceBudget& poor = devices[needs.device];
    const uint64_t wanted = needs.needed + (needs.mapped ? 0 : poor.overhead);
    (needs.mapped ? poor.mapped_limit : poor.usable) = wanted;
    poor.usable = std::max(poor.usable, wanted);
    if (!best_plan(model_, devices, wish_, wish_.context)) return;
    const double n = static_cast<double>(wanted) / gib;
    add(needs.mapped ? fmt::format("a memory limit of {:.1f} GiB or more", n + 0.05)
                     : fmt::format("{:.1f} GiB free on {}", n + 0.05, poor.device),
        wish_, 0, wanted);
  }

  const MemoryProfile& model_;
  std::span<const DeviceBudget> devices_;
  const Wish& wish_;
  std::vector<Change> found_;
  bool has_cache_ = false;
};

// The device that takes what finds no room: the host, else the roomiest.
uint32_t last_resort(std::span<const DeviceBudget> devices) {
  uint32_t best = 0;
  for (uint32_t d = 0; d < devices.size(); ++d) {
    if (devices[d].maps_weights) return d;
    if (devices[d].usable > devices[best].usable) best = d;
  }
  return best;
}

}  // namespace

Needs needs_of(const MemoryProfile& model, std::span<const DeviceBudget> devices, const Wish& wish) {
  Needs needs;
  needs.device = last_resort(devices);
  Draft draft(model, devices, {wish.context, wish.requests(), 0, false, wish.kv});
  // The last one keeps room for what every device needs, whatever is placed there.
  for (size_t p = model.parts.size(); p-- > 0;) {
    bool placed = false;
    for (uint32_t d = 0; d < devices.size() && !placed; ++d)
      placed = d != needs.device && !wish.gpu_layers && draft.put(p, d);
    if (!placed) draft.force(p, needs.device);
  }
  const DeviceBudget& device = devices[needs.device];
  const Use use = draft.use(needs.device);
  needs.needed = use.anonymous();
  needs.usable = device.usable - std::min(device.usable, device.overhead);
  if (device.mapped_limit != 0 && needs.needed + use.mapped > device.mapped_limit) {
    needs.mapped = true;
    needs.needed += use.mapped;
    needs.usable = device.mapped_limit;
  }
  return needs;
}

std::vector<Change> changes_that_fit(const MemoryProfile& model, std::span<const DeviceBudget> devices,
                                     const Wish& wish) {
  return Finder(model, devices, wish).run();
}

}  // namespace hearth
