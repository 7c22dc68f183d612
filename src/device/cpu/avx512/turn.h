#pragma once

// Sixteen vectors of 32-bit units, turned.
#include <cstddef>

#include "device/cpu/wide/intrinsics.h"

namespace hearth::cpu {
namespace {

// row[i] ↔ row[j]: neighbours, fours, then quarters of vectors.
inline void turn(__m512i (&v)[16]) {
  __m512i t[16];
  for (size_t i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
  }
  for (size_t i = 0; i < 16; i += 4) {
    v[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    v[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    v[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    v[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  // v[4·g + c]: columns c, c + 4, … of the rows 4·g … 4·g + 3, a column per quarter.
  for (size_t c = 0; c < 4; ++c) {
    const __m512i low = _mm512_shuffle_i32x4(v[c], v[c + 4], 0x88);
    const __m512i high = _mm512_shuffle_i32x4(v[c], v[c + 4], 0xdd);
    const __m512i low2 = _mm512_shuffle_i32x4(v[c + 8], v[c + 12], 0x88);
    const __m512i high2 = _mm512_shuffle_i32x4(v[c + 8], v[c + 12], 0xdd);
    t[c] = _mm512_shuffle_i32x4(low, low2, 0x88);
    t[c + 4] = _mm512_shuffle_i32x4(high, high2, 0x88);
    t[c + 8] = _mm512_shuffle_i32x4(low, low2, 0xdd);
    t[c + 12] = _mm512_shuffle_i32x4(high, high2, 0xdd);
  }
  for (size_t i = 0; i < 16; ++i) v[i] = t[i];
}

}  // namespace
}  // namespace hearth::cpu
