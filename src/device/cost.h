#pragma once

#include <cstdint>

#include "device/program.h"

namespace hearth {

// What a step looks like to an operation: rows computed, rows whose scores are wanted, and for attention the
// number of cached tokens each row reads (average) and the bytes of one cached token per layer.
struct StepShape {
  uint32_t rows = 1, wanted = 1;
  uint32_t sequences = 1;                 // whose caches are read
  uint64_t context = 0;                   // tokens attended per row, on average
  double kv_bytes_k = 2, kv_bytes_v = 2;  // per cached value
};

// Bytes read from memory once (weights, cache) and floating-point operations, the same count for every
// device.
struct Cost {
  uint64_t bytes = 0, flops = 0;
  Cost& operator+=(const Cost& other) {
    bytes += other.bytes;
    flops += other.flops;
    return *this;
  }
};

Cost cost(const Op& op, const StepShape& step, const Program& program);
Cost cost(const Program& program, const StepShape& step);

}  // namespace hearth
