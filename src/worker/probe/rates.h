#pragma once

#include <functional>

#include "protocol/verdict.h"
#include "worker/probe/trial.h"

// How fast a device is, by small programs: enough to compare devices and to foretell a model's speed, not a
// benchmark.
namespace hearth::probe {

// Sizes grow until a step takes some tens of milliseconds: a slow device is not held up, and a fast one is
// not measured by its launch times.
struct SpeedOptions {
  uint64_t most_bytes = 128ULL << 20;  // of a weight: beyond the caches of a processor
  double longest = 0.06;               // seconds that one step is expected to take at most
};

// Bytes per second of a product of one row with a large F16 matrix: reading memory is all it does.
double sweep_rate(const OpenDevice& open, const SpeedOptions& options);
// Operations per second of products with Q4_K matrices, by one row (generation) or by many (prompt). Throws
// Error(device_lost) where the process grows although steps must not allocate.
double generation_rate(const OpenDevice& open, const SpeedOptions& options);
double prompt_rate(const OpenDevice& open, const SpeedOptions& options);

// Memory of this process that lies in RAM.
uint64_t resident_memory();

}  // namespace hearth::probe
