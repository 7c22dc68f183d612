#pragma once

#include <memory>
#include <string>
#include <vector>

#include "device/device.h"
#include "engine/engine.h"
#include "protocol/messages.h"
#include "worker/open_model.h"

namespace hearth {

// A model ready to compute: the file, the device and the engine over both, with everything allocated as
// planned.
class LoadedModel {
 public:
  // Throws Error: what the file lacks, what the device refuses, or by how much the memory falls short and
  // which change would fit. `exact`: prompts in float arithmetic too (debug logits).
  LoadedModel(OpenModel open, const LoadRequest& request, bool exact = false);

  const OpenModel& files() const noexcept { return open_; }
  Engine& engine() noexcept { return *engine_; }
  Device& device() noexcept { return *device_; }
  double load_seconds() const noexcept { return seconds_; }

 private:
  OpenModel open_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<Engine> engine_;
  double seconds_ = 0;
};

// The plan that a load would follow, without loading. Throws Error(out_of_memory) with the changes that would
// fit.
Plan plan_for(const BoundModel& model, const Gguf& file, const Device& device, const Wish& wish);

}  // namespace hearth
