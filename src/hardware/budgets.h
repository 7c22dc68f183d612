#pragma once

#include "plan/profile.h"
#include "protocol/verdict.h"

namespace hearth {

// What the verdict on a device that passed tells a load: how fast it was, what it computes rightly, what is
// to stay free. How much memory is free is asked anew (usable is 0).
DeviceBudget budget_of(const ProbeVerdict& verdict);

}  // namespace hearth
