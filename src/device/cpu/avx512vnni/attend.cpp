// Attention of prompt rows in integers of thirteen bits and more: vpdpwssd does twice the work of a float
// instruction, and a scale per query, key and value keeps more digits than bfloat16 has. Weights of the
// softmax are relative to the block's largest; scores are in powers of two.
#include "device/cpu/avx512/vec.h"
#include "device/cpu/avx512vnni/kernels.h"
#include "device/cpu/avx512vnni/soften.h"
#include "device/cpu/wide/reduce.h"

namespace hearth::cpu::avx512vnni {
namespace {

constexpr uint32_t step = 8;  // tokens, or values of a head, per register block

// The largest integers for which sums over a head, or over a block of tokens, fit 32 bits.
constexpr float largest_of(uint32_t head) { return head <= 128 ? 4095.0F : head <= 512 ? 2047.0F : 1023.0F; }
constexpr float largest_weight = 8191.0F, largest_value = 4095.0F;

// The scale that makes a row of floats integers up to `largest`, and its inverse.
inline float scale_of(const float* x, uint32_t size, float largest, float& inverse) {
  __m512 top = zero();
  for_each(size, [&](uint32_t i, auto part) { top = max(top, magnitude(load(x + i, part))); });
  const float most = max_lane(top);
  constexpr float smallest = 1e-15F;
  const float scale = most / largest;
  inverse = scale > smallest ? largest / most : 0.0F;
  return scale > smallest ? scale : smallest;
}

inline __m512i rounded(__m512 v, __m512 inverse) { return _mm512_cvtps_epi32(mul(v, inverse)); }
// Two integers of sixteen bits per lane.
inline __m512i pairs(__m512i low, __m512i high) {
  return _mm512_mask_blend_epi16(0xaaaaaaaaU, low, _mm512_slli_epi32(high, 16));
}

// Sixteen values of eight lanes at a time become eight pairs, turned so that the lanes lie side by side.
void pack_queries(const float* const* q, uint32_t k_size, float factor, void* panel, float* scale) {
  float inverse[attend_lanes] = {};
  for (size_t lane = 0; lane < attend_lanes; ++lane) {
    scale[lane] = 1.0F;
    if (q[lane] != nullptr)
      scale[lane] = factor * scale_of(q[lane], k_size, largest_of(k_size), inverse[lane]);
  }
  auto* to = static_cast<float*>(panel);
  for (uint32_t d = 0; d < k_size; d += 16) {
    const uint32_t values = k_size - d < 16 ? k_size - d : 16;
    const __mmask16 real = _cvtu32_mask16((1U << values) - 1U);
    for (size_t half = 0; half < attend_lanes; half += 8) {
      __m256 pair[8];
      for (size_t i = 0; i < 8; ++i) {
        const float* row = q[half + i];
        const __m512 v = row != nullptr ? _mm512_maskz_loadu_ps(real, row + d) : zero();
        pair[i] = _mm256_castsi256_ps(_mm512_cvtepi32_epi16(rounded(v, set1(inverse[half + i]))));
      }
      transpose(pair);
      for (size_t i = 0; 2 * i < values; ++i)
        _mm256_storeu_ps(to + (d / 2 + i) * attend_lanes + half, pair[i]);
    }
  }
}

// [token][head]; scales count in powers of two.
void pack_keys(const float* k, uint32_t tokens, uint32_t size, void* out, float* scale) {
  auto* to = static_cast<int16_t*>(out);
  for (uint32_t t = 0; t < tokens; ++t, k += size, to += size) {
    float inverse = 0.0F;
    scale[t] = log2_e * scale_of(k, size, largest_of(size), inverse);
    const __m512 by = set1(inverse);
    for_each(size, [&](uint32_t i, auto part) {
      const __m256i words = _mm512_cvtepi32_epi16(rounded(load(k + i, part), by));
      if constexpr (__is_same(decltype(part), Part)) {
        _mm256_mask_storeu_epi16(to + i, first_lanes(part.n), words);
      } else {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i), words);
      }
    });
  }
}

// [token / 2][head][2]
void pack_values(const float* v, uint32_t tokens, uint32_t size, void* out, float* scale) {
  auto* to = static_cast<int32_t*>(out);
  for (uint32_t t = 0; t < tokens; t += 2, v += 2 * size, to += size) {
    const bool both = t + 1 < tokens;
    float first = 0.0F, second = 0.0F;
    scale[t] = scale_of(v, size, largest_value, first);
    if (both) scale[t + 1] = scale_of(v + size, size, largest_value, second);
    for_each(size, [&](uint32_t i, auto part) {
      const __m512i low = rounded(load(v + i, part), set1(first));
      const __m512i high = both ? rounded(load(v + size + i, part), set1(second)) : _mm512_setzero_si512();
      store(reinterpret_cast<float*>(to + i), _mm512_castsi512_ps(pairs(low, high)), part);
    });
  }
}

inline __m512i broadcast(const int16_t* pair) {
  int32_t bits = 0;
  __builtin_memcpy(&bits, pair, sizeof bits);
  return _mm512_set1_epi32(bits);
}

// s[t][panel]: scores but for the scale of the query.
template <uint32_t panels>
inline void score_rows(const AttendBlock& b, uint32_t t, float* s) {
  const auto* k = static_cast<const int16_t*>(b.k) + size_t{t} * b.k_size;
  const auto* q = static_cast<const int16_t*>(b.q);
  const size_t panel = 2 * b.q_step;
  __m512i acc[step][panels];
  for (auto& row : acc) {
    for (__m512i& a : row) a = _mm512_setzero_si512();
  }
  for (uint32_t d = 0; d < b.k_size; d += 2) {
    __m512i query[panels];
    for (size_t j = 0; j < panels; ++j) query[j] = _mm512_loadu_si512(q + j * panel + d * attend_lanes);
    for (size_t i = 0; i < step; ++i) {
      const __m512i key = broadcast(k + i * b.k_size + d);
      for (size_t j = 0; j < panels; ++j) acc[i][j] = _mm512_dpwssd_epi32(acc[i][j], query[j], key);
    }
  }
  for (size_t i = 0; i < step && t + i < b.tokens; ++i) {
    const __m512 scale = set1(b.k_scale[t + i]);
    for (size_t j = 0; j < panels; ++j) {
      store(s + ((t + i) * panels + j) * lanes, mul(_mm512_cvtepi32_ps(acc[i][j]), scale));
    }
  }
}

// Scores → weights times the scale of their value, as integers [token / 2][panel][16][2]. `down`: what
// earlier sums are multiplied with; `factor`: what the sums of this block are.
inline void soften(const Softening& u, int32_t* p, __m512& down, __m512& factor) {
  const AttendBlock& b = u.b;
  __m512 scale = load(b.q_scale + u.panel * lanes);
  if (b.soft_cap > 0) scale = u.cap(scale);
  if (u.hides_some()) u.hide();
  const __m512 top = max(mul(u.largest(), scale), set1(attend_nothing));
  const __m512 before = load(b.best + u.panel * lanes), best = max(before, top);
  down = power(sub(before, best));
  factor = power(sub(top, best));
  __m512 total = zero(), most = zero();
  for (size_t t = 0; t < b.tokens; ++t) {
    const __m512 weight = power(_mm512_fmsub_ps(load(u.score(t)), scale, top));
    total = add(total, weight);
    const __m512 both = mul(weight, set1(b.v_scale[t]));
    most = max(most, both);
    store(u.score(t), both);
  }
  store(b.best + u.panel * lanes, best);
  const __m512 all = mul(load(b.total + u.panel * lanes), down);
  store(b.total + u.panel * lanes, fma(total, factor, all));
  const __mmask16 some = _mm512_cmp_ps_mask(most, zero(), _CMP_GT_OQ);
  const __m512 inverse = _mm512_maskz_div_ps(some, set1(largest_weight), most);
  factor = mul(factor, mul(most, set1(1.0F / largest_weight)));
  for (size_t t = 0; t < b.tokens; t += 2) {
    const __m512i first = rounded(load(u.score(t)), inverse);
    const __m512i second = t + 1 < b.tokens ? rounded(load(u.score(t + 1)), inverse) : _mm512_setzero_si512();
    _mm512_storeu_si512(p + t / 2 * u.row + u.panel * lanes, pairs(first, second));
  }
}

// acc[d] = acc[d] · down + factor · Σ_t p[t] · v[t][d], for a few values of the head.
template <uint32_t panels>
inline void mix_rows(const AttendBlock& b, uint32_t d, const int32_t* p, const __m512 (&down)[panels],
                     const __m512 (&factor)[panels]) {
  const auto* v = static_cast<const int16_t*>(b.v) + 2 * size_t{d};
  __m512i sum[step][panels];
  for (auto& row : sum) {
    for (__m512i& a : row) a = _mm512_setzero_si512();
  }
  for (uint32_t t = 0; t < b.tokens; t += 2, v += 2 * size_t{b.v_size}, p += panels * lanes) {
    __m512i weight[panels];
    for (size_t j = 0; j < panels; ++j) weight[j] = _mm512_loadu_si512(p + j * lanes);
    for (size_t i = 0; i < step; ++i) {
      const __m512i value = broadcast(v + 2 * i);
      for (size_t j = 0; j < panels; ++j) sum[i][j] = _mm512_dpwssd_epi32(sum[i][j], weight[j], value);
    }
  }
  for (size_t i = 0; i < step; ++i) {
    for (size_t j = 0; j < panels; ++j) {
      float* to = b.acc + (j * b.v_size + d + i) * attend_lanes;
      store(to, fma(_mm512_cvtepi32_ps(sum[i][j]), factor[j], mul(load(to), down[j])));
    }
  }
}

template <uint32_t panels>
void attend_some(const AttendBlock& b) {
  alignas(64) float s[attend_tokens * panels * lanes];
  alignas(64) int32_t p[attend_tokens / 2 * panels * lanes];
  for (uint32_t t = 0; t < b.tokens; t += step) score_rows<panels>(b, t, s);
  __m512 down[panels], factor[panels];
  for (size_t j = 0; j < panels; ++j) soften({b, j, panels * lanes, s + j * lanes}, p, down[j], factor[j]);
  for (uint32_t d = 0; d < b.v_size; d += step) mix_rows<panels>(b, d, p, down, factor);
}

void attend_block(const AttendBlock& b) {
  if (b.panels == 1) {
    attend_some<1>(b);
  } else {
    attend_some<2>(b);
  }
}

void attend_blocks(const AttendBlock* blocks, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) attend_block(blocks[i]);
}

}  // namespace

const AttendKernels attend = {pack_queries, pack_keys, pack_values, attend_blocks, finish};

}  // namespace hearth::cpu::avx512vnni
