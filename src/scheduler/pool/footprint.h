#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "plan/plan.h"
#include "scheduler/scheduler.h"

namespace hearth {

// What a model takes of the host's memory, the pages of its file included, and of each other device.
struct Footprint {
  uint64_t host = 0;
  std::map<std::string, uint64_t> cards = {};
};
Footprint footprint_of(const std::vector<DeviceBuffers>& held);

// The plan that a worker would make for this model on these devices, with so much left on each card; the host
// is taken to have enough. None: nobody knows what the model takes, or it does not fit.
std::optional<Plan> plan_within(const ModelSpec& spec, const std::vector<DeviceBudget>& devices,
                                const std::map<std::string, uint64_t>& left);

// Whether a plan for what others leave is no worse than the one for the empty machine: nothing that could be
// on a card is on the host for it, and the context is at least 8192 tokens, or what was asked for.
bool as_good(const Plan& squeezed, const Plan& alone, const std::vector<DeviceBudget>& devices);

}  // namespace hearth
