#pragma once

#include "device/device.h"
#include "formats/gguf.h"
#include "model/model.h"

namespace hearth {

// The dry run: the model's own program laid out for each row class, not run. The row classes are what place()
// may choose between.
MemoryProfile profile(const BoundModel& model, const Gguf& file, const Device& device);

}  // namespace hearth
