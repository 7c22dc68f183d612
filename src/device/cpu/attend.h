#pragma once

#include <algorithm>

#include "device/cpu/stage.h"

namespace hearth::cpu {

// How many of a slice's rows are computed with the kernels of generation: those of the step's first rows.
inline uint32_t exact_rows_of(const Step& step, const Slice& slice) {
  return step.exact_rows <= slice.first_row ? 0 : std::min(slice.rows, step.exact_rows - slice.first_row);
}

// A row's query of a head.
inline const float* query_of(const Step& step, const Attend& op, uint32_t row, uint32_t head) {
  const uint32_t each = op.heads.k_size * (op.gated ? 2 : 1);
  return step.act(op.q) + uint64_t{row} * op.q.cols + uint64_t{head} * each;
}

// A head's result, through the gate behind its query where there is one.
inline void open_gate(const Step& step, const Attend& op, uint32_t row, uint32_t head, float* out) {
  if (!op.gated) return;
  const float* gate = query_of(step, op, row, head) + op.heads.k_size;
  step.device->table().rows->open(gate, out, op.heads.v_size, out);
}

// Attention of the step's prompt rows; all threads call it.
void attend_prompts(const Step& step, uint32_t thread, const Attend& op);

// Floats of scratch memory that a thread needs for it with these kernels.
uint64_t attend_prompt_floats(const HeadShape& heads, const AttendKernels& kernels) noexcept;

}  // namespace hearth::cpu
