#pragma once

// The vector type of this set, in the vocabulary that the kernels of ../wide/ are written in; avx2/vec.h has
// the same names. Everything is in an unnamed namespace: no symbol leaves the object.
#include <cstddef>
#include <cstdint>

#include "device/cpu/wide/intrinsics.h"

namespace hearth::cpu {
namespace {

using Floats = __m512;
using Ints = __m512i;
constexpr uint32_t lanes = 16;
// How many rows of weights, and of activations, the register blocks of the kernels hold.
constexpr uint32_t dot_rows = 4;
constexpr uint32_t dot_columns = 4;
constexpr uint32_t matmul_acts = 12;
constexpr uint32_t matmul_panels = 2;

inline Floats zero() { return _mm512_setzero_ps(); }
inline Floats set1(float v) { return _mm512_set1_ps(v); }
inline Floats load(const float* p) { return _mm512_loadu_ps(p); }
inline void store(float* p, Floats v) { _mm512_storeu_ps(p, v); }

// The first n lanes (n < lanes): loads leave the others zero and read nothing, stores write nothing there.
inline __mmask16 first_lanes(uint32_t n) { return _cvtu32_mask16((1U << n) - 1U); }
inline Floats load_part(const float* p, uint32_t n) { return _mm512_maskz_loadu_ps(first_lanes(n), p); }
inline void store_part(float* p, Floats v, uint32_t n) { _mm512_mask_storeu_ps(p, first_lanes(n), v); }
inline Floats keep_first(Floats v, Floats rest, uint32_t n) {
  return _mm512_mask_mov_ps(rest, first_lanes(n), v);
}

inline Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
inline Floats sub(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
inline Floats mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
inline Floats div(Floats a, Floats b) { return _mm512_div_ps(a, b); }
inline Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }    // a·b + c
inline Floats fnma(Floats a, Floats b, Floats c) { return _mm512_fnmadd_ps(a, b, c); }  // c − a·b
// A NaN in `b` wins.
inline Floats max(Floats a, Floats b) { return _mm512_max_ps(a, b); }
inline Floats min(Floats a, Floats b) { return _mm512_min_ps(a, b); }
inline Floats magnitude(Floats a) { return _mm512_abs_ps(a); }
inline Floats nearest(Floats a) {
  return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
// a · 2^n for whole n, correct down to the subnormals.
inline Floats scale_by_power(Floats a, Floats n) { return _mm512_scalef_ps(a, n); }
// The same for n in lowest_power … 127; exactly 0 for the lowest.
constexpr float lowest_power = -200.0F;
inline Floats times_power(Floats a, Floats n) { return _mm512_scalef_ps(a, n); }

inline Ints widen(const int8_t* p) {
  return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline Ints widen(__m128i v) { return _mm512_cvtepi8_epi32(v); }
inline __m128i load_bytes(const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
inline Floats to_floats(Ints v) { return _mm512_cvtepi32_ps(v); }

inline Floats load_f16(const void* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
}
inline Floats load_f16_part(const void* p, uint32_t n) {
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first_lanes(n), p));
}
inline void store_f16(void* p, Floats v) {
  _mm256_storeu_si256(static_cast<__m256i*>(p),
                      _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
inline Floats widen_bf16(__m256i v) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));
}
inline Floats load_bf16(const void* p) {
  return widen_bf16(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
}
inline Floats load_bf16_part(const void* p, uint32_t n) {
  return widen_bf16(_mm256_maskz_loadu_epi16(first_lanes(n), p));
}

// Lane 0 or the low eight lanes from memory, the others zero.
inline Floats load_one(const float* p) { return _mm512_zextps128_ps512(_mm_load_ss(p)); }
inline Floats load_eight(const float* p) { return _mm512_zextps256_ps512(_mm256_loadu_ps(p)); }

inline __m256 halves_sum(Floats v) {
  return _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
}
inline __m256 halves_max(Floats v) {
  return _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
}
inline __m256 halves_min(Floats v) {
  return _mm256_min_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
}

// Even lanes of the 2·lanes values (a, b), and odd ones; weave is the inverse.
inline void unweave(Floats a, Floats b, Floats& even, Floats& odd) {
  const __m512i pick = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  even = _mm512_permutex2var_ps(a, pick, b);
  odd = _mm512_permutex2var_ps(a, _mm512_add_epi32(pick, _mm512_set1_epi32(1)), b);
}
inline void weave(Floats even, Floats odd, Floats& a, Floats& b) {
  const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  a = _mm512_permutex2var_ps(even, low, odd);
  b = _mm512_permutex2var_ps(even, _mm512_add_epi32(low, _mm512_set1_epi32(8)), odd);
}

}  // namespace
}  // namespace hearth::cpu
