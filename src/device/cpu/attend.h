#pragma once

#include <algorithm>

#include "device/cpu/stage.h"

namespace hearth::cpu {

// How many of a slice's rows are computed with the kernels of generation: those of the step's first rows.
inline uint32_t exact_rows_of(const Step& step, const Slice& slice) {
  return step.exact_rows <= slice.first_row ? 0 : std::min(slice.rows, step.exact_rows - slice.first_row);
}

// Attention of the step's prompt rows; all threads call it.
void attend_prompts(const Step& step, uint32_t thread, const Attend& op);

// Floats of scratch memory that a thread needs for it.
uint64_t attend_prompt_floats(const HeadShape& heads) noexcept;

}  // namespace hearth::cpu
