#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "device/device.h"
#include "formats/gguf.h"
#include "model/model.h"

namespace hearth {

// What two devices made of one operation, given the same inputs.
struct OpDifference {
  uint32_t op = 0;
  uint16_t layer = 0xffff;
  std::string kind, tensor;  // "Qkv", and its first weight
  uint32_t row = 0, column = 0;
  double reference = 0, other = 0;
  double difference = 0, tolerance = 0;  // the largest of the operation, and what rounding explains
};

// Runs the program of a model on both devices, operation by operation: each gets what `reference` made of the
// operation before, so that a difference belongs to the operation at which it is found (the cache is each
// device's own). Calls `seen` for every operation; the first difference above its tolerance ends the run and
// is returned. Throws Error where a device refuses an operation or has no room.
std::optional<OpDifference> compare_devices(const BoundModel& model, const Gguf& file, Device& reference,
                                            Device& other, KvTypes kv, uint32_t rows,
                                            const std::function<void(const OpDifference&)>& seen);

}  // namespace hearth
