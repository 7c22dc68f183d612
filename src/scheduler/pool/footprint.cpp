#include "scheduler/pool/footprint.h"

#include <algorithm>

namespace hearth {
namespace {

constexpr uint64_t plenty = uint64_t{1} << 50;
constexpr uint32_t decent_context = 8192;

size_t parts_on_host(const Plan& plan, const std::vector<DeviceBudget>& devices) {
  return static_cast<size_t>(std::count_if(plan.parts.begin(), plan.parts.end(), [&](const Placement& p) {
    return devices.empty() || devices[p.device].maps_weights;
  }));
}

}  // namespace

Footprint footprint_of(const std::vector<DeviceBuffers>& held) {
  Footprint f;
  for (const DeviceBuffers& h : held)
    (h.device == "cpu" ? f.host : f.cards[h.device]) += h.anonymous() + h.mapped();
  return f;
}

std::optional<Plan> plan_within(const ModelSpec& spec, const std::vector<DeviceBudget>& devices,
                                const std::map<std::string, uint64_t>& left) {
  if (spec.survey == nullptr) return std::nullopt;
  std::vector<DeviceBudget> budgets = devices;
  if (budgets.empty()) budgets.push_back({"cpu"});
  for (size_t d = 0; d < budgets.size(); ++d) {
    DeviceBudget& b = budgets[d];
    if (d < spec.survey->budgets.size()) {
      b.workspace = spec.survey->budgets[d].workspace;
      b.refusals = spec.survey->budgets[d].refusals;
      if (!b.maps_weights) b.resident = spec.survey->budgets[d].resident;
    }
    if (b.maps_weights) b.usable = plenty;
    if (const auto there = left.find(b.device); !b.maps_weights && there != left.end())
      b.usable = there->second;
  }
  auto result = place(spec.survey->profile, budgets, spec.load.wish);
  if (auto* plan = std::get_if<Plan>(&result)) return std::move(*plan);
  return std::nullopt;
}

bool as_good(const Plan& squeezed, const Plan& alone, const std::vector<DeviceBudget>& devices) {
  return parts_on_host(squeezed, devices) <= parts_on_host(alone, devices) &&
         squeezed.context >= std::min(alone.context, decent_context);
}

}  // namespace hearth
