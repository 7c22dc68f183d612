#pragma once

// The vector type of this set, in the vocabulary that the kernels of ../wide/ are written in; avx512/vec.h
// has the same names. Everything is in an unnamed namespace: no symbol leaves the object.
#include <cstddef>
#include <cstdint>

#include "device/cpu/wide/intrinsics.h"

namespace hearth::cpu {
namespace {

using Floats = __m256;
using Ints = __m256i;
constexpr uint32_t lanes = 8;
// How many rows of weights, and of activations, the register blocks of the kernels hold: sixteen registers.
constexpr uint32_t dot_rows = 2;
constexpr uint32_t dot_columns = 4;
constexpr uint32_t matmul_acts = 6;
constexpr uint32_t matmul_panels = 1;

inline Floats zero() { return _mm256_setzero_ps(); }
inline Floats set1(float v) { return _mm256_set1_ps(v); }
inline Floats load(const float* p) { return _mm256_loadu_ps(p); }
inline void store(float* p, Floats v) { _mm256_storeu_ps(p, v); }

// The first n lanes (n < lanes): loads leave the others zero and read nothing, stores write nothing there.
inline __m256i first_lanes(uint32_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline Floats load_part(const float* p, uint32_t n) { return _mm256_maskload_ps(p, first_lanes(n)); }
inline void store_part(float* p, Floats v, uint32_t n) { _mm256_maskstore_ps(p, first_lanes(n), v); }
inline Floats keep_first(Floats v, Floats rest, uint32_t n) {
  return _mm256_blendv_ps(rest, v, _mm256_castsi256_ps(first_lanes(n)));
}

inline Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
inline Floats sub(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
inline Floats mul(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
inline Floats div(Floats a, Floats b) { return _mm256_div_ps(a, b); }
inline Floats fma(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }    // a·b + c
inline Floats fnma(Floats a, Floats b, Floats c) { return _mm256_fnmadd_ps(a, b, c); }  // c − a·b
// A NaN in `b` wins.
inline Floats max(Floats a, Floats b) { return _mm256_max_ps(a, b); }
inline Floats min(Floats a, Floats b) { return _mm256_min_ps(a, b); }
inline Floats magnitude(Floats a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0F), a); }
inline Floats nearest(Floats a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
// a · 2^n for whole n in −250 … 250, correct down to the subnormals: two factors, as 2^n alone may not be a
// float.
inline Floats scale_by_power(Floats a, Floats n) {
  const __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
  const __m256i bias = _mm256_set1_epi32(127);
  const __m256i one = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
  const __m256i other = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(whole, half), bias), 23);
  return mul(mul(a, _mm256_castsi256_ps(one)), _mm256_castsi256_ps(other));
}

// a · 2^n for whole n in lowest_power … 127; exactly 0 for the lowest.
constexpr float lowest_power = -127.0F;
inline Floats times_power(Floats a, Floats n) {
  const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  return mul(a, _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23)));
}

inline Ints widen(const int8_t* p) {
  return _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
}
inline Ints widen(__m128i v) { return _mm256_cvtepi8_epi32(v); }
inline __m128i load_bytes(const uint8_t* p) { return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)); }
inline Floats to_floats(Ints v) { return _mm256_cvtepi32_ps(v); }

// The first n (< lanes) 16-bit values, the others zero.
inline __m128i load_words_part(const void* p, uint32_t n) {
  uint16_t words[lanes] = {};
  __builtin_memcpy(words, p, n * sizeof(uint16_t));
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(words));
}
inline Floats load_f16(const void* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(p)));
}
inline Floats load_f16_part(const void* p, uint32_t n) { return _mm256_cvtph_ps(load_words_part(p, n)); }
inline void store_f16(void* p, Floats v) {
  _mm_storeu_si128(static_cast<__m128i*>(p),
                   _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
inline Floats widen_bf16(__m128i v) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16));
}
inline Floats load_bf16(const void* p) { return widen_bf16(_mm_loadu_si128(static_cast<const __m128i*>(p))); }
inline Floats load_bf16_part(const void* p, uint32_t n) { return widen_bf16(load_words_part(p, n)); }

// Lane 0 or the low eight lanes from memory, the others zero.
inline Floats load_one(const float* p) { return _mm256_zextps128_ps256(_mm_load_ss(p)); }
inline Floats load_eight(const float* p) { return _mm256_loadu_ps(p); }

inline __m256 halves_sum(Floats v) { return v; }
inline __m256 halves_max(Floats v) { return v; }
inline __m256 halves_min(Floats v) { return v; }

// Even lanes of the 2·lanes values (a, b), and odd ones; weave is the inverse.
inline void unweave(Floats a, Floats b, Floats& even, Floats& odd) {
  const __m256 low = _mm256_permute2f128_ps(a, b, 0x20), high = _mm256_permute2f128_ps(a, b, 0x31);
  const __m256 e = _mm256_shuffle_ps(low, high, 0x88), o = _mm256_shuffle_ps(low, high, 0xdd);
  // low holds values 0–3 and 8–11, high 4–7 and 12–15: e is then 0 2 4 6 | 8 10 12 14, already in order.
  even = e;
  odd = o;
}
inline void weave(Floats even, Floats odd, Floats& a, Floats& b) {
  const __m256 low = _mm256_unpacklo_ps(even, odd), high = _mm256_unpackhi_ps(even, odd);
  a = _mm256_permute2f128_ps(low, high, 0x20);
  b = _mm256_permute2f128_ps(low, high, 0x31);
}

}  // namespace
}  // namespace hearth::cpu
