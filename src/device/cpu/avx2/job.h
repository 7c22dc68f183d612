#pragma once

// What products with few and with many activation rows share.
#include "device/cpu/avx2/levels.h"

namespace hearth::cpu {
namespace {

struct Job {
  const uint8_t* strip;
  uint32_t rows, cols;
  const uint8_t* x;
  size_t x_bytes;
  float* y;
  size_t y_stride;
};

// What will be read soon, into the second level.
inline void ask_for(const uint8_t* p, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64) _mm_prefetch(reinterpret_cast<const char*>(p + i), _MM_HINT_T1);
}

inline void put(__m256 v, uint32_t rows, float* y) {
  if (rows >= 8) return _mm256_storeu_ps(y, v);
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  _mm256_maskstore_ps(y, _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(rows)), lane), v);
}

}  // namespace
}  // namespace hearth::cpu
