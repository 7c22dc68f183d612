#pragma once

#include <cstdint>
#include <vector>

#include "device/program.h"

namespace hearth {

// Where each activation lies in the arena for steps of up to `rows` rows. Lifetimes are those of the list: an
// activation's memory is free again after its last reader; an output takes its residual's place where it may.
struct Layout {
  uint32_t rows = 0;
  std::vector<uint64_t> offset;  // [act id − 1], bytes, multiples of 64
  uint64_t peak = 0;             // bytes of the arena: what the plan lists
};

Layout lay_out(const Program& program, uint32_t rows);

}  // namespace hearth
