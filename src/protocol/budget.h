#pragma once

#include "plan/profile.h"
#include "protocol/verdict.h"

namespace hearth {

// What a probe found out about a device, as the planner wants it. Its free memory is that of the probe's
// time: a plan that is carried out asks again.
DeviceBudget budget_from(const ProbeVerdict& verdict);

}  // namespace hearth
