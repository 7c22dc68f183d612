#pragma once

// What the stages that carry a state have in common.
#include <cstddef>
#include <cstdint>

#include "device/cpu/stage.h"

namespace hearth::cpu {

// Columns that one thread has to itself, for all rows of the step: what is carried from row to row in a
// column concerns no other. In lines of the cache, so that threads do not write to the same one.
struct ColumnShare {
  uint32_t begin = 0, count = 0;
};
ColumnShare columns_of(const Step& step, uint32_t thread, uint32_t cols);

// A row of an operation's input.
inline const float* columns(const Step& step, const Columns& c, uint32_t row) {
  return step.act(c.act) + uint64_t{row} * c.act.cols + c.at;
}

// What a sequence carries through a layer; slice: number of its slice in the step.
float* state_of(const Step& step, StateRef state, size_t slice);

}  // namespace hearth::cpu
