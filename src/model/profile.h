#pragma once

#include "device/device.h"
#include "device/split.h"
#include "formats/gguf.h"
#include "model/model.h"

namespace hearth {

// The dry run: the model's own program laid out for each row class, not run. The row classes are what place()
// may choose between; their scratch memory is that of `device`.
MemoryProfile profile(const BoundModel& model, const Gguf& file, const Device& device);

// What this model takes on a device, filled into its budget: its own copy of each part's weights, its scratch
// memory, and the parts that it refuses for this cache.
void measure(DeviceBudget& budget, const BoundModel& model, const MemoryProfile& profile,
             const Device& device, KvTypes kv);

// The planner reckons with the compute memory of the whole model on every device; what each device's part
// really needs is known once the program is divided, and replaces it here. `devices`: those of the plan.
void settle(Plan& plan, const Split& split, std::span<Device* const> devices);

}  // namespace hearth
