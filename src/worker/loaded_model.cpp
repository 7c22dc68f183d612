#include "worker/loaded_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>

#include "base/memory.h"
#include "device/modules.h"
#include "device/parts.h"
#include "model/profile.h"

namespace hearth {
namespace {

DeviceOptions options_of(const LoadRequest& request, bool exact = false) {
  return {{request.cpu_set, request.threads, exact}, request.backends, request.halvings};
}

// Smaller steps, as the plan wants them, after a device was lost.
Wish wish_of(const LoadRequest& request) {
  Wish wish = request.wish;
  if (request.halvings > 0) wish.rows = std::max(page_tokens, wish.rows >> request.halvings);
  return wish;
}

// What the system or the driver says is free now.
DeviceBudget free_budget(const std::string& name, const LoadRequest& request) {
  DeviceBudget b;
  b.device = name;
  if (name == "cpu") {
    b.usable = available_memory();
    const uint64_t group = available_in_group();
    b.mapped_limit = group == std::numeric_limits<uint64_t>::max() ? 0 : group;
    return b;
  }
  const ModuleDevice device = describe_device(name, options_of(request));
  b.usable = free_memory(device);
  b.maps_weights = false;
  b.host_memory = device.kind == ModuleDeviceKind::integrated;
  b.largest_allocation = device.largest_allocation;
  b.layer_cache = device.layer_cache;
  return b;
}

// A cache with such heads, of such a type.
bool concerns(const FailedAttention& f, const CacheProfile& c, const KvTypes& kv) {
  return (c.k_size == f.head_size && kv.k == f.type) || (c.v_size == f.head_size && kv.v == f.type);
}

// What keeps this model's attention on one of its devices from a running softmax; null: nothing does.
const FailedAttention* stood_in_for(const LoadRequest& request, const MemoryProfile& profile) {
  const auto names = device_list(request);
  for (const FailedAttention& f : request.avoid) {
    if (!f.two_pass || std::find(names.begin(), names.end(), f.device) == names.end()) continue;
    for (const CacheProfile& c : profile.caches) {
      if (concerns(f, c, request.wish.kv)) return &f;
    }
  }
  return nullptr;
}

// Layers whose attention the device got wrong when it was probed are none of its.
void refuse_failed(DeviceBudget& budget, const LoadRequest& request, const MemoryProfile& profile) {
  for (const FailedAttention& f : request.avoid) {
    if (f.device != budget.device || f.two_pass) continue;
    for (size_t p = 0; p < profile.parts.size() && p < budget.refusals.size(); ++p) {
      for (const uint16_t group : profile.parts[p].caches) {
        if (concerns(f, profile.caches[group], request.wish.kv) && budget.refusals[p].empty())
          budget.refusals[p] =
              fmt::format("heads of {} with a {} cache failed when the device was probed: {}", f.head_size,
                          to_string(f.type), f.cause);
      }
    }
  }
}

// The same for parts whose weights are of a type that it multiplied wrongly, or not at all.
void refuse_failed_products(DeviceBudget& budget, const LoadRequest& request, const Program& program) {
  const Parts parts = parts_of(program);
  for (const FailedProduct& f : request.avoid_products) {
    if (f.device != budget.device) continue;
    for (size_t op = 0; op < program.ops.size(); ++op) {
      std::string& refusal = budget.refusals[parts.of[op]];
      for (const Weight w : weights_of(program.ops[op])) {
        const WeightInfo& info = program.weights[w.id - 1];
        const bool matrix = info.shape.rows > 1 && !std::holds_alternative<Embed>(program.ops[op]);
        if (refusal.empty() && matrix && f.type == type_info(info.type).name)
          refusal =
              fmt::format("products with {} weights failed when the device was probed: {}", f.type, f.cause);
      }
    }
  }
}

// Where no device at all takes an operation, the load fails for that reason and not for want of memory.
void require_some_device(const MemoryProfile& profile, std::span<const DeviceBudget> budgets) {
  for (size_t p = 0; p < profile.parts.size(); ++p) {
    const bool refused = std::all_of(budgets.begin(), budgets.end(), [&](const DeviceBudget& b) {
      return p < b.refusals.size() && !b.refusals[p].empty();
    });
    if (!refused) continue;
    throw Error(
        Code::unsupported,
        fmt::format("device {} cannot compute {} {} of this model: {}", budgets.front().device,
                    to_string(profile.parts[p].kind), profile.parts[p].layer, budgets.front().refusals[p]),
        "use an f16 cache, or another file of this model");
  }
}

}  // namespace

std::vector<std::string> device_list(const LoadRequest& request) {
  return request.devices.empty() ? std::vector<std::string>{"cpu"} : request.devices;
}

std::vector<DeviceBudget> budgets_for(const LoadRequest& request, const BoundModel& model,
                                      const MemoryProfile& profile,
                                      const std::vector<std::unique_ptr<Device>>& devices) {
  const auto names = device_list(request);
  std::vector<DeviceBudget> budgets;
  for (size_t d = 0; d < names.size(); ++d) {
    DeviceBudget b = free_budget(names[d], request);
    if (d < request.budgets.size()) {
      const DeviceBudget& known = request.budgets[d];
      if (known.usable != 0) b.usable = std::min(b.usable, known.usable);
      if (known.mapped_limit != 0) b.mapped_limit = known.mapped_limit;
      b.overhead = known.overhead;
      b.rates = known.rates;
      b.kv = known.kv;
    }
    measure(b, model, profile, *devices[d], request.wish.kv);
    refuse_failed(b, request, profile);
    refuse_failed_products(b, request, model.program);
    budgets.push_back(std::move(b));
  }
  return budgets;
}

Plan plan_or_throw(const MemoryProfile& profile, std::span<const DeviceBudget> budgets, const Wish& wish) {
  require_some_device(profile, budgets);
  auto result = place(profile, budgets, wish);
  if (auto* plan = std::get_if<Plan>(&result)) return std::move(*plan);
  const Shortfall& s = std::get<Shortfall>(result);
  const std::string what =
      !s.cause.empty() ? fmt::format("the model would take {}", s.cause)
      : s.mapped       ? fmt::format(
                             "the model needs {} MiB with its file, the memory limit leaves {} MiB; it would "
                                   "be read again and again, or killed",
                             s.needed >> 20, s.usable >> 20)
                 : fmt::format("the model needs {} MiB beside its file, {} MiB are available", s.needed >> 20,
                               s.usable >> 20);
  throw Error(Code::out_of_memory, what, s.remedy());
}

LoadedModel::LoadedModel(OpenModel open, const LoadRequest& request, bool exact) : open_(std::move(open)) {
  const auto begin = std::chrono::steady_clock::now();
  BoundModel model = bind_model(*open_.file, request.vectors);
  for (const std::string& name : device_list(request))
    devices_.push_back(open_device(name, options_of(request, exact)));
  const MemoryProfile needs = profile(model, *open_.file, *devices_.front());
  Plan plan = plan_or_throw(needs, budgets_for(request, model, needs, devices_), wish_of(request));
  const FailedAttention* failed = stood_in_for(request, needs);
  if (request.two_pass_attention || failed != nullptr) attend_in_two_passes(model.program);
  if (failed != nullptr)
    plan.notes.push_back(
        fmt::format("attention takes two passes: with a running softmax heads of {} with a {} cache "
                    "failed on {} when it was probed: {}",
                    failed->head_size, to_string(failed->type), failed->device, failed->cause));
  for (const auto& device : devices_)
    plan.notes.insert(plan.notes.end(), device->info().notes.begin(), device->info().notes.end());
  if (request.halvings > 0)
    plan.notes.push_back(fmt::format("a device was lost before: steps have {} rows at most", plan.rows));
  EngineOptions options;
  options.ends = [tokenizer = open_.tokenizer.get()](TokenId t) { return tokenizer->ends_generation(t); };
  std::vector<Device*> devices;
  for (const auto& device : devices_) devices.push_back(device.get());
  engine_ = std::make_unique<Engine>(std::move(model), *open_.file, std::move(devices), std::move(plan),
                                     std::move(options));
  seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

Device& LoadedModel::device() noexcept { return *devices_[engine_->plan().parts.back().device]; }

std::string LoadedModel::device_names() const {
  std::string names;
  const Plan& plan = engine_->plan();
  for (uint32_t d = 0; d < plan.devices.size(); ++d) {
    if (plan.uses(d)) names += (names.empty() ? "" : ", ") + plan.devices[d].device;
  }
  return names;
}

}  // namespace hearth
