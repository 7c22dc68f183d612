#pragma once

#include <cstdint>

#include "engine/batcher.h"

namespace hearth {

// How many rows of prompts may go beside running streams, so that these do not wait long for their next
// token. Learns from the steps what a row takes, by the kernels that it goes through: those for rows that
// continue sequences, and those for whole blocks of prompts.
class Pace {
 public:
  // What the next step may have.
  StepRoom room() const noexcept;
  void note(const Batch& batch, double seconds) noexcept;

 private:
  double exact_row_ = 0, fast_row_ = 0;  // seconds; 0 = not known yet
};

}  // namespace hearth
