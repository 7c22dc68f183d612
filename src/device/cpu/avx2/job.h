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

inline void put(__m256 v, uint32_t rows, float* y) {
  if (rows >= 8) return _mm256_storeu_ps(y, v);
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  _mm256_maskstore_ps(y, _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(rows)), lane), v);
}

constexpr uint32_t many_rows = 32, many_strips = 4, many_cols = 256;

// Activations of a block of rows and columns, prepared for one way.
struct Activations {
  // shifted: bytes + 128. pairs: per quad x0 x2 x1 x3 in sixteen bits.
  alignas(32) uint8_t x[many_rows][2 * many_cols];
  int32_t product[many_rows][many_cols / 32];  // pairs: −Σ (x0·x1 + x2·x3) of 32 columns
};

template <Way way>
inline void prepare(const Job& job, uint32_t count, size_t first, size_t last, Activations& a) {
  for (uint32_t m = 0; m < count; ++m) {
    const uint8_t* x = job.x + m * job.x_bytes + first;
    for (size_t k = 0; k < last - first; k += 32) {
      const __m256i v = load(x + k);
      if constexpr (way == Way::shifted) {
        _mm256_store_si256(reinterpret_cast<__m256i*>(a.x[m] + k), _mm256_xor_si256(v, splat(-128)));
      } else {
        const __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(v, 8), 8), odd = _mm256_srai_epi16(v, 8);
        // Two columns of even, two of odd in turn; the halves of the vectors come back into order.
        const __m256i low = _mm256_unpacklo_epi32(even, odd), high = _mm256_unpackhi_epi32(even, odd);
        auto* to = reinterpret_cast<__m256i*>(a.x[m] + 2 * k);
        _mm256_store_si256(to, _mm256_permute2x128_si256(low, high, 0x20));
        _mm256_store_si256(to + 1, _mm256_permute2x128_si256(low, high, 0x31));
        a.product[m][k / 32] = -sum_of(_mm256_madd_epi16(even, odd));
      }
    }
  }
}

// body(m) for m < count: turns short enough for the processor to foresee the end.
template <class Body>
inline void in_fours(uint32_t count, Body body) {
  uint32_t m = 0;
  for (; m + 4 <= count; m += 4) {
    for (uint32_t i = 0; i < 4; ++i) body(m + i);
  }
  for (; m < count; ++m) body(m);
}

}  // namespace
}  // namespace hearth::cpu
