#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "device/program.h"

namespace hearth {

// A run of operations that stay on one device.
struct Segment {
  uint32_t device = 0;
  Program program;  // numbers of activations and weights are those of the whole
  std::vector<uint32_t>
      origin;  // [operation] its number in the whole; of a Transfer, that of the one it serves
};

struct Split {
  std::vector<Segment> segments;    // in the order in which they run
  std::vector<Program> devices;     // all that each device computes: what it loads and reserves for
  std::vector<uint32_t> slot_cols;  // columns of each host copy (Transfer::slot)

  // Bytes of the host copies for steps of `rows` rows.
  uint64_t crossing_bytes(uint32_t rows) const noexcept;
};

// Cuts a program where the placement changes. An activation that is read on another run than the one that
// made it crosses once to a host copy, and once into each run that reads it; nothing but Transfer entries is
// added. The cache belongs to the device of the attention operations, a state to that of the operation that
// carries it: groups keep their numbers, the layers of a group are counted anew on each device. device_of:
// one entry per operation; devices: how many there are. Throws Error(unsupported) for a cut behind a
// Resample: each device counts a step's rows for itself.
Split split(const Program& program, std::span<const uint32_t> device_of, uint32_t devices);

// The part of a program that `wanted` names: its operations, with everything else as in the whole but the
// layers of the caches, which are counted anew.
Program part_of(const Program& program, std::span<const uint8_t> wanted);

}  // namespace hearth
