#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "device/device.h"
#include "engine/sequence.h"

namespace hearth {

// Which rows of which sequences are computed next.
struct BatchSlice {
  Sequence* sequence = nullptr;
  uint32_t first_row = 0, rows = 0;
  uint32_t start = 0;    // first token of the slice in its sequence
  bool results = false;  // the slice's last row ends what is known of the sequence: its scores are wanted
};

struct Batch {
  std::vector<BatchSlice> slices;
  uint32_t rows = 0, exact_rows = 0, results = 0;
};

struct BatchLimits {
  uint32_t rows = 512;    // rows per step
  uint32_t results = 32;  // rows of scores per step
  uint32_t exact = most_exact_rows;
};

// What prompts may take of a step in which others generate.
struct StepRoom {
  double seconds = 0;                  // 0 = as long as it takes
  double exact_row = 0, fast_row = 0;  // seconds for one row of each kind; 0 = not known: little is tried
  uint32_t most_exact = most_exact_rows;
};

// All sequences that generate come first, one row each, so that no stream stalls; prompt slices fill the
// rest.
//
// A prompt row goes to the prompt kernels if and only if the block of 32 positions it lies in is computed
// whole by this prompt, else to the generation kernels: that follows from the sequence alone, so its result
// does not depend on what else is in the batch. Slices of whole blocks are cut at multiples of 32 for the
// same reason; the others, whose rows go alone, anywhere.
class Batcher {
 public:
  explicit Batcher(BatchLimits limits) : limits_(limits) {}
  // Fills `batch` (its vectors keep their memory); empty if no sequence has anything to compute. `room` holds
  // only while a sequence generates.
  void next(std::span<const std::unique_ptr<Sequence>> sequences, Batch& batch, const StepRoom& room = {});

 private:
  void add_decoding(Sequence& s, Batch& batch) const;
  void add_exact_prompt(Sequence& s, Batch& batch, uint32_t most) const;
  void add_fast_prompt(Sequence& s, Batch& batch, uint32_t most) const;
  bool push(Sequence& s, uint32_t start, uint32_t rows, Batch& batch) const;

  BatchLimits limits_;
  size_t turn_ = 0;  // where the next step begins to look, so that nobody is always last
};

}  // namespace hearth
