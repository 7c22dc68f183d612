#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "device/program.h"

namespace hearth {

// A run of operations that stay on one device.
struct Segment {
  uint32_t device = 0;
  Program program;  // numbers of activations, weights and caches are those of the whole
};

struct Split {
  std::vector<Segment> segments;    // in the order in which they run
  std::vector<uint32_t> slot_cols;  // columns of each host copy (Transfer::slot)
};

// Cuts a program where the placement changes. An activation that is read on another run than the one that
// made it crosses once to a host copy, and once into each run that reads it; nothing but Transfer entries is
// added. The cache belongs to the device of the attention operations. device_of: one entry per operation.
Split split(const Program& program, std::span<const uint32_t> device_of);

}  // namespace hearth
