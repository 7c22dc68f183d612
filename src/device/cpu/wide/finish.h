#pragma once

// The end of attention: lanes become rows again. Include a set's vec.h first.
#include "device/cpu/table.h"
#include "device/cpu/wide/transpose.h"

namespace hearth::cpu {
namespace {

// What each of sixteen lanes is multiplied with: see AttendKernels::finish.
inline void finish_rows(const float* acc, const float* factor, uint32_t v_size, float* const* out) {
  for (uint32_t half = 0; half < attend_lanes; half += 8) {
    const __m256 by = _mm256_loadu_ps(factor + half);
    for (uint32_t d = 0; d < v_size; d += 8) {
      __m256 block[8];
      for (uint32_t i = 0; i < 8; ++i) {
        block[i] = _mm256_mul_ps(_mm256_loadu_ps(acc + size_t{d + i} * attend_lanes + half), by);
      }
      transpose(block);
      for (uint32_t i = 0; i < 8; ++i) {
        if (out[half + i] != nullptr) _mm256_storeu_ps(out[half + i] + d, block[i]);
      }
    }
  }
}

}  // namespace
}  // namespace hearth::cpu
