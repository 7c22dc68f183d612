#pragma once

// Plain rounding to blocks: one simple rule per type, no search. All in float32, rounding half to even, so
// that the bytes are the same everywhere (the made-up models of the tests depend on it).
#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "tensor/types/block.h"

namespace hearth {

// Writes a half and returns what it really is.
inline float put_rounded(std::byte* at, float value) {
  put_f16(at, value);
  return half_to_float(u16(at));
}

// a / b, 0 where b is 0.
inline float quotient(float a, float b) { return b == 0 ? 0.0F : a / b; }

// The element of largest magnitude, with its sign; the first of equals.
inline float peak(const float* x, size_t n) {
  float most = x[0];
  for (size_t i = 1; i < n; ++i) {
    if (std::fabs(x[i]) > std::fabs(most)) most = x[i];
  }
  return most;
}

inline int level(float x, float low, float high) {
  return static_cast<int>(std::clamp(std::nearbyint(x), low, high));
}

// Number of the nearest level; the first of equals.
inline uint32_t nearest(float x, std::span<const float> levels) {
  uint32_t best = 0;
  for (uint32_t i = 1; i < levels.size(); ++i) {
    if (std::fabs(x - levels[i]) < std::fabs(x - levels[best])) best = i;
  }
  return best;
}

inline std::byte byte_of(int value) { return static_cast<std::byte>(value); }

// Eight six-bit scales and minima in twelve bytes: the inverse of scale_min().
inline void pack_scale_min(const int* scale, const int* minimum, std::byte* out) {
  for (uint32_t j = 0; j < 4; ++j) {
    out[j] = byte_of(scale[j] | ((scale[j + 4] >> 4) << 6));
    out[j + 4] = byte_of(minimum[j] | ((minimum[j + 4] >> 4) << 6));
    out[j + 8] = byte_of((scale[j + 4] & 15) | ((minimum[j + 4] & 15) << 4));
  }
}

// Sub-blocks with scale and minimum (Q2_K, Q4_K, Q5_K): levels 0 … top, scales and minima 0 … most. Writes d
// and dmin.
template <uint32_t Subs, uint32_t Size>
struct AffineBlock {
  int scale[Subs], minimum[Subs], q[Subs][Size];

  AffineBlock(const float* x, float top, float most, std::byte* d_at, std::byte* dmin_at) {
    float low[Subs], range[Subs], widest = 0, deepest = 0;
    for (uint32_t j = 0; j < Subs; ++j) {
      const auto [a, b] = std::minmax_element(x + j * Size, x + (j + 1) * Size);
      low[j] = std::min(*a, 0.0F);
      range[j] = (*b - low[j]) / top;
      widest = std::max(j == 0 ? range[j] : widest, range[j]);
      deepest = std::max(j == 0 ? -low[j] : deepest, -low[j]);
    }
    const float d = put_rounded(d_at, widest / most), dmin = put_rounded(dmin_at, deepest / most);
    for (uint32_t j = 0; j < Subs; ++j) {
      scale[j] = level(quotient(range[j], d), 0, most);
      minimum[j] = level(quotient(-low[j], dmin), 0, most);
      const float step = d * static_cast<float>(scale[j]), shift = dmin * static_cast<float>(minimum[j]);
      for (uint32_t i = 0; i < Size; ++i) q[j][i] = level(quotient(x[j * Size + i] + shift, step), 0, top);
    }
  }
};

// Sub-blocks with a signed scale (Q3_K, Q6_K, IQ4_XS): the peak of a sub-block becomes level `bottom`, the
// peak of the scales becomes `lowest`. Writes d; gives the scales and the factor of each sub-block.
template <uint32_t Subs, uint32_t Size>
struct SignedBlock {
  int scale[Subs];
  float step[Subs];

  SignedBlock(const float* x, float bottom, float lowest, float highest, std::byte* d_at) {
    float peaks[Subs];
    for (uint32_t j = 0; j < Subs; ++j) peaks[j] = peak(x + j * Size, Size) / bottom;
    const float d = put_rounded(d_at, peak(peaks, Subs) / lowest);
    for (uint32_t j = 0; j < Subs; ++j) {
      scale[j] = level(quotient(peaks[j], d), lowest, highest);
      step[j] = d * static_cast<float>(scale[j]);
    }
  }
};

}  // namespace hearth
