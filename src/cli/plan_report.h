#pragma once

#include <string>
#include <vector>

#include "plan/plan.h"
#include "protocol/messages.h"

namespace hearth {

// What `hearth plan` was asked, and found.
struct PlanQuestion {
  std::string model;  // as it is shown
  from_child::Surveyed surveyed;
  std::vector<DeviceBudget> devices;
  std::string source;  // where the figures of the devices come from: "measured here", "a table of cards"
  Wish wish;
};

struct PlanAnswer {
  std::variant<Plan, Shortfall> result;
  uint32_t largest_context = 0;
};

PlanAnswer answer_of(const PlanQuestion& question);

// One screen: does it fit, how fast will it be, what to change. `why`: also where each figure comes from.
std::string plan_text(const PlanQuestion& question, const PlanAnswer& answer, bool why);
Json plan_json(const PlanQuestion& question, const PlanAnswer& answer);

}  // namespace hearth
