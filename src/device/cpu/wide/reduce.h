#pragma once

// Sums and extremes over the lanes of a vector, and loops over arrays of any length. Include a set's vec.h
// first.

namespace hearth::cpu {
namespace {

inline float sum_lanes(Floats v) {
  const __m256 w = halves_sum(v);
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(w), _mm256_extractf128_ps(w, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

inline float max_lane(Floats v) {
  const __m256 w = halves_max(v);
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(w), _mm256_extractf128_ps(w, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

inline float min_lane(Floats v) {
  const __m256 w = halves_min(v);
  __m128 s = _mm_min_ps(_mm256_castps256_ps128(w), _mm256_extractf128_ps(w, 1));
  s = _mm_min_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_min_ss(s, _mm_movehdup_ps(s)));
}

// The sums of four vectors at once, which costs little more than that of one.
inline __m128 sum_lanes(Floats a, Floats b, Floats c, Floats d) {
  const __m256 ab = _mm256_hadd_ps(halves_sum(a), halves_sum(b)),
               cd = _mm256_hadd_ps(halves_sum(c), halves_sum(d));
  const __m256 all = _mm256_hadd_ps(ab, cd);
  return _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1));
}

// A whole vector, or its first n lanes: what `for_each` passes to its body, which hands it on to load and
// store.
struct Whole {};
struct Part {
  uint32_t n;
};
inline Floats load(const float* p, Whole) { return load(p); }
inline Floats load(const float* p, Part part) { return load_part(p, part.n); }
inline void store(float* p, Floats v, Whole) { store(p, v); }
inline void store(float* p, Floats v, Part part) { store_part(p, v, part.n); }
inline Floats keep(Floats v, Floats, Whole) { return v; }
inline Floats keep(Floats v, Floats rest, Part part) { return keep_first(v, rest, part.n); }

// body(i, part) for the vectors of an array of n values, the last of which may be a part.
template <class Body>
inline void for_each(uint32_t n, Body body) {
  uint32_t i = 0;
  for (; i + lanes <= n; i += lanes) body(i, Whole{});
  if (i < n) body(i, Part{n - i});
}

}  // namespace
}  // namespace hearth::cpu
