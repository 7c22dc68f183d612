#pragma once

#include <memory>
#include <string>
#include <vector>

#include "device/device.h"
#include "engine/engine.h"
#include "protocol/messages.h"
#include "worker/open_model.h"

namespace hearth {

// A model ready to compute: the file, the devices and the engine over them, with everything allocated as
// planned.
class LoadedModel {
 public:
  // Opens LoadRequest::devices and divides the model between them. Throws Error: what the file lacks, what a
  // device refuses, or by how much the memory falls short and which change would fit. `exact`: prompts in
  // float arithmetic too (debug logits).
  LoadedModel(OpenModel open, const LoadRequest& request, bool exact = false);

  const OpenModel& files() const noexcept { return open_; }
  Engine& engine() noexcept { return *engine_; }
  // The device that computes the head; its threads are those of the host where it is the CPU.
  Device& device() noexcept;
  // Names of the devices that take part: "vulkan0, cpu".
  std::string device_names() const;
  double load_seconds() const noexcept { return seconds_; }

 private:
  OpenModel open_;
  std::vector<std::unique_ptr<Device>> devices_;
  std::unique_ptr<Engine> engine_;
  double seconds_ = 0;
};

// The budgets of a request's devices, and what this model takes there. `devices`: opened, in order.
std::vector<DeviceBudget> budgets_for(const LoadRequest& request, const BoundModel& model,
                                      const MemoryProfile& profile,
                                      const std::vector<std::unique_ptr<Device>>& devices);

// The plan, or the error that tells what is missing and what would fit.
Plan plan_or_throw(const MemoryProfile& profile, std::span<const DeviceBudget> budgets, const Wish& wish);

// Names of a request's devices; the CPU where it names none.
std::vector<std::string> device_list(const LoadRequest& request);

}  // namespace hearth
