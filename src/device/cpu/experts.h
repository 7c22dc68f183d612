#pragma once

#include <cstddef>
#include <cstdint>

#include "device/cpu/stage.h"

namespace hearth::cpu {

// Where the experts' shared scratch memory holds what, in bytes; hidden rows, floats [pairs][hidden], lie
// first.
struct ExpertsSpace {
  uint64_t integers = 0;  // of the rows that a product reads, [pairs][integer_row(cols)]
  uint64_t lists = 0;     // PairLists
  uint64_t bytes = 0;
};
ExpertsSpace experts_space(uint32_t rows, const Experts& op, uint32_t experts);

// The (row, expert) pairs of a step, sorted by expert; within an expert rows ascend.
class PairLists {
 public:
  PairLists(std::byte* memory, uint32_t experts, uint32_t pairs);
  static uint64_t bytes(uint32_t experts, uint32_t pairs);

  // `route`: [rows][stride], as Route writes it.
  void build(const float* route, uint32_t stride, uint32_t rows, uint32_t used);

  // The pairs of an expert: [first, first + count).
  uint32_t first(uint32_t expert) const { return first_[expert]; }
  uint32_t count(uint32_t expert) const { return first_[expert + 1] - first_[expert]; }
  uint32_t pairs() const { return first_[experts_]; }
  uint32_t row(uint32_t pair) const { return row_[pair]; }
  float weight(uint32_t pair) const { return weight_[pair]; }
  // Experts that have pairs, by number.
  uint32_t active() const { return *active_count_; }
  uint32_t active(uint32_t i) const { return active_[i]; }

 private:
  uint32_t experts_;
  uint32_t *active_count_, *active_, *first_, *row_;
  float* weight_;
};

}  // namespace hearth::cpu
