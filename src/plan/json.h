#pragma once

#include "base/json.h"
#include "plan/plan.h"

// The planner's records as JSON, between processes and for `--json`. Reading throws where a field is missing
// or of another kind: boost::system::system_error, or Error(bad_request) for an unknown name.
namespace hearth {

Json to_json(const Wish& wish);
Json to_json(const MemoryProfile& profile);
Json to_json(const DeviceBudget& budget);
Json to_json(const DeviceBuffers& buffers);
Json to_json(const Plan& plan);

Wish wish_of(const Json& json);
MemoryProfile profile_of(const Json& json);
DeviceBudget budget_of(const Json& json);
DeviceBuffers buffers_of(const Json& json);

}  // namespace hearth
