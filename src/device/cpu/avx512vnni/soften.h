#pragma once

// What kernels of attention share whose lanes are queries and whose scores count in powers of two. Include
// avx512/vec.h first.
#include "device/cpu/table.h"
#include "device/cpu/wide/finish.h"

namespace hearth::cpu {
namespace {

constexpr float log2_e = 1.44269504F;

// 2^x with a relative error of 2^−17, which neither integers of thirteen bits nor bfloat16 see; 0 for very
// small x.
inline __m512 power(__m512 x) {
  const __m512 n = nearest(x), r = sub(x, n);
  __m512 p = set1(9.65671029e-3F);
  p = fma(p, r, set1(5.58382829e-2F));
  p = fma(p, r, set1(2.40225301e-1F));
  p = fma(p, r, set1(6.93136734e-1F));
  return scale_by_power(fma(p, r, set1(1.0F)), n);
}

// One panel's way from scores to weights: s[t · row] is the vector of a token's scores.
struct Softening {
  const AttendBlock& b;
  size_t panel, row;
  float* s;

  float* score(size_t t) const { return s + t * row; }
  __m512i own() const { return _mm512_loadu_si512(b.position + panel * lanes); }

  bool hides_some() const {
    const auto reaches = [&](uint32_t at) { return _mm512_set1_epi32(static_cast<int>(at)); };
    const bool late = b.causal && _mm512_cmplt_epu32_mask(own(), reaches(b.at + b.tokens - 1)) != 0;
    return late || (b.window != 0 && _mm512_cmpge_epu32_mask(own(), reaches(b.at + b.window)) != 0);
  }

  void hide() const {
    const __m512i position = own();
    for (uint32_t t = 0; t < b.tokens; ++t) {
      const uint32_t seen = b.at + t;
      uint32_t hidden = 0;
      if (b.causal) hidden |= _mm512_cmplt_epu32_mask(position, _mm512_set1_epi32(static_cast<int>(seen)));
      if (b.window != 0) {
        const __m512i end = _mm512_set1_epi32(static_cast<int>(seen + b.window));
        hidden |= _mm512_cmpge_epu32_mask(position, end);
      }
      const __m512 v = load(score(t));
      store(score(t), _mm512_mask_mov_ps(v, _cvtu32_mask16(hidden), set1(attend_hidden)));
    }
  }

  // Scores with their scale and cap: where there is a cap, the scale is done with.
  __m512 cap(__m512 scale) const {
    for (size_t t = 0; t < b.tokens; ++t) {
      // tanh x = 1 − 2 / (1 + e^2x), and scores count in powers of two
      const __m512 grown = power(mul(mul(load(score(t)), scale), set1(2.0F / b.soft_cap)));
      const __m512 tanh = sub(set1(1.0F), div(set1(2.0F), add(set1(1.0F), grown)));
      store(score(t), mul(tanh, set1(b.soft_cap * log2_e)));
    }
    return set1(1.0F);
  }

  __m512 largest() const {
    __m512 even = set1(attend_hidden), odd = even;
    size_t t = 0;
    for (; t + 2 <= b.tokens; t += 2) {
      even = max(even, load(score(t)));
      odd = max(odd, load(score(t + 1)));
    }
    if (t < b.tokens) even = max(even, load(score(t)));
    return max(even, odd);
  }
};

void finish(const float* acc, const float* best, const float* total, const float* sinks, uint32_t v_size,
            float* const* out) {
  __m512 all = load(total);
  if (sinks != nullptr) all = add(all, power(_mm512_fmsub_ps(load(sinks), set1(log2_e), load(best))));
  alignas(64) float factor[attend_lanes];
  store(factor, div(set1(1.0F), all));
  finish_rows(acc, factor, v_size, out);
}

}  // namespace
}  // namespace hearth::cpu
