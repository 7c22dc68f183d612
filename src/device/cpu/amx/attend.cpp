// Attention of prompt rows in tiles of bfloat16. Scores are keys × queries and results are values × weights,
// so that a lane is a query in both: a block's tokens are the rows of the one's left-hand tiles and the
// columns of the other's.
#include "device/cpu/amx/config.h"
#include "device/cpu/amx/kernels.h"
#include "device/cpu/avx512/vec.h"
#include "device/cpu/avx512vnni/soften.h"
#include "device/cpu/wide/finish.h"
#include "device/cpu/wide/reduce.h"

namespace hearth::cpu::amx {
namespace {

constexpr size_t tile_values = 512;  // bfloat16 numbers of a tile
constexpr size_t tile_floats = 256;
constexpr uint32_t deep = 32;  // columns of a left-hand tile, rows of a right-hand one

constexpr uint32_t tiles_of(uint32_t values, uint32_t each) { return (values + each - 1) / each; }

inline __mmask16 lanes_of(uint32_t left) {
  return left >= lanes ? _cvtu32_mask16(0xffffU) : first_lanes(left);
}
// 32 values, of which `left` are there, as bfloat16.
inline __m512i thirty_two(const float* p, uint32_t left) {
  const __m512 low = _mm512_maskz_loadu_ps(lanes_of(left), p);
  const __m512 high = left > lanes ? _mm512_maskz_loadu_ps(lanes_of(left - lanes), p + lanes) : zero();
  return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}
// Two neighbours along k of every lane, side by side.
inline __m512i side_by_side(__m512 first, __m512 second) {
  const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(second, first);
  alignas(64) static constexpr uint16_t order[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                     21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                     11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  return _mm512_permutexvar_epi16(_mm512_load_si512(order), both);
}

// row[i] ↔ row[j] for sixteen vectors of 32-bit units, in memory.
inline void turn(__m512i (&row)[16], uint16_t* out) {
  for (size_t down = 0; down < 16; down += 8) {
    for (size_t across = 0; across < 16; across += 8) {
      __m256 block[8];
      for (size_t i = 0; i < 8; ++i) {
        const __m512 v = _mm512_castsi512_ps(row[down + i]);
        block[i] = across == 0 ? _mm512_castps512_ps256(v) : _mm512_extractf32x8_ps(v, 1);
      }
      transpose(block);
      for (size_t i = 0; i < 8; ++i)
        _mm256_storeu_ps(reinterpret_cast<float*>(out + (across + i) * deep + 2 * down), block[i]);
    }
  }
}

// Right-hand tiles: [k / 2][16 queries][2]. Sixteen values of sixteen queries at a time.
void pack_queries(const float* const* q, uint32_t k_size, float factor, void* panel, float* scale) {
  for (size_t i = 0; i < attend_lanes; ++i) scale[i] = 1.0F;
  const __m512 by = set1(factor * log2_e);
  auto* to = static_cast<uint16_t*>(panel);
  for (uint32_t d = 0; d < tiles_of(k_size, deep) * deep; d += deep, to += tile_values) {
    const uint32_t left = k_size - d;
    __m512i rows[16];
    for (size_t i = 0; i < 16; ++i) {
      if (q[i] == nullptr) {
        rows[i] = _mm512_setzero_si512();
        continue;
      }
      const __m512 low = mul(_mm512_maskz_loadu_ps(lanes_of(left), q[i] + d), by);
      const __m512 high =
          left > lanes ? mul(_mm512_maskz_loadu_ps(lanes_of(left - lanes), q[i] + d + lanes), by) : zero();
      rows[i] = (__m512i)_mm512_cvtne2ps_pbh(high, low);
    }
    turn(rows, to);
  }
}

// Left-hand tiles [token / 16][k / 32]. Missing tokens are zeros, so that no score is worse than hidden.
void pack_keys(const float* k, uint32_t tokens, uint32_t size, void* out, float* scale) {
  auto* to = static_cast<uint16_t*>(out);
  const uint32_t across = tiles_of(size, deep);
  for (uint32_t t = 0; t < tiles_of(tokens, tile_rows) * tile_rows; ++t) {
    uint16_t* row = to + t / tile_rows * across * tile_values + t % tile_rows * deep;
    for (uint32_t d = 0; d < across; ++d, row += tile_values) {
      const bool real = t < tokens;
      const __m512i v =
          real ? thirty_two(k + size_t{t} * size + d * deep, size - d * deep) : _mm512_setzero_si512();
      _mm512_storeu_si512(row, v);
    }
    if (t < tokens) scale[t] = 1.0F;
  }
}

// Left-hand tiles of the values turned: [value / 16][token / 32].
void pack_values(const float* v, uint32_t tokens, uint32_t size, void* out, float* scale) {
  for (uint32_t t = 0; t < tokens; ++t) scale[t] = 1.0F;
  auto* to = static_cast<uint16_t*>(out);
  for (uint32_t d = 0; d < size; d += tile_rows) {
    const __mmask16 real = lanes_of(size - d);
    for (uint32_t t = 0; t < tokens; t += deep, to += tile_values) {
      __m512i pairs[16];
      for (uint32_t i = 0; i < 16; ++i) {
        const uint32_t at = t + 2 * i;
        const float* p = v + size_t{at} * size + d;
        const __m512 first = at < tokens ? _mm512_maskz_loadu_ps(real, p) : zero();
        const __m512 second = at + 1 < tokens ? _mm512_maskz_loadu_ps(real, p + size) : zero();
        pairs[i] = side_by_side(first, second);
      }
      turn(pairs, to);
    }
  }
}

// s[panel][token][16]: 32 tokens at a time.
template <uint32_t panels>
inline void score(const AttendBlock& b, float* s) {
  const uint32_t across = tiles_of(b.k_size, deep);
  const auto *k = static_cast<const uint16_t*>(b.k), *q = static_cast<const uint16_t*>(b.q);
  const size_t panel = 2 * b.q_step;
  for (uint32_t t = 0; t < b.tokens; t += 2 * tile_rows, s += 2 * tile_floats) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    const bool both = t + tile_rows < b.tokens;
    for (uint32_t d = 0; d < across; ++d, k += tile_values) {
      _tile_loadd(4, k, 64);
      _tile_loadd(6, q + d * tile_values, 64);
      _tile_dpbf16ps(0, 4, 6);
      if constexpr (panels == 2) {
        _tile_loadd(7, q + panel + d * tile_values, 64);
        _tile_dpbf16ps(1, 4, 7);
      }
      if (!both) continue;
      _tile_loadd(5, k + across * tile_values, 64);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (panels == 2) _tile_dpbf16ps(3, 5, 7);
    }
    k += across * tile_values;
    float* second = s + size_t{attend_tokens} * lanes;
    _tile_stored(0, s, 64);
    _tile_stored(2, s + tile_floats, 64);
    if constexpr (panels == 2) {
      _tile_stored(1, second, 64);
      _tile_stored(3, second + tile_floats, 64);
    }
  }
}

// Scores → weights relative to the best so far, as a right-hand operand [token / 2][16][2], with zeros for
// tokens that fill up the last tile. What was summed before is brought down to the same measure.
inline void soften(const Softening& u, uint16_t* p) {
  const AttendBlock& b = u.b;
  if (b.soft_cap > 0) u.cap(set1(1.0F));
  if (u.hides_some()) u.hide();
  float *best_at = b.best + u.panel * lanes, *total_at = b.total + u.panel * lanes;
  const __m512 before = load(best_at), best = max(before, u.largest());
  __m512 even = zero(), odd = zero();
  const uint32_t end = tiles_of(b.tokens, deep) * deep;
  for (uint32_t t = 0; t < end; t += 2, p += 2 * lanes) {
    const __m512 first = t < b.tokens ? power(sub(load(u.score(t)), best)) : zero();
    const __m512 second = t + 1 < b.tokens ? power(sub(load(u.score(t + 1)), best)) : zero();
    even = add(even, first);
    odd = add(odd, second);
    _mm512_storeu_si512(p, side_by_side(first, second));
  }
  const __m512 down = power(sub(before, best));
  store(best_at, best);
  store(total_at, fma(load(total_at), down, add(even, odd)));
  if (_mm512_cmpneq_ps_mask(down, set1(1.0F)) == 0) return;
  float* acc = b.acc + u.panel * b.v_size * attend_lanes;
  for (uint32_t d = 0; d < b.v_size; ++d) store(acc + d * lanes, mul(load(acc + d * lanes), down));
}

// sums[block][panel] += values × weights, for one or two times sixteen values of a head; panels lie `panel`
// floats apart.
template <uint32_t blocks, uint32_t panels>
inline void mix_tiles(const uint16_t* v, const uint16_t* p, uint32_t along, float* sums, size_t panel) {
  constexpr size_t panel_weights = size_t{attend_tokens} * lanes;
  _tile_loadd(0, sums, 64);
  if constexpr (panels == 2) _tile_loadd(1, sums + panel, 64);
  if constexpr (blocks == 2) _tile_loadd(2, sums + tile_floats, 64);
  if constexpr (blocks == 2 && panels == 2) _tile_loadd(3, sums + panel + tile_floats, 64);
  for (uint32_t t = 0; t < along; ++t, v += tile_values, p += tile_values) {
    _tile_loadd(4, v, 64);
    _tile_loadd(6, p, 64);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (panels == 2) {
      _tile_loadd(7, p + panel_weights, 64);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (blocks == 2) {
      _tile_loadd(5, v + along * tile_values, 64);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (panels == 2) _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, sums, 64);
  if constexpr (panels == 2) _tile_stored(1, sums + panel, 64);
  if constexpr (blocks == 2) _tile_stored(2, sums + tile_floats, 64);
  if constexpr (blocks == 2 && panels == 2) _tile_stored(3, sums + panel + tile_floats, 64);
}

// acc[panel][value][16] += values × weights
template <uint32_t panels>
inline void mix(const AttendBlock& b, const uint16_t* p) {
  const auto* v = static_cast<const uint16_t*>(b.v);
  const uint32_t along = tiles_of(b.tokens, deep);
  const size_t panel = size_t{b.v_size} * attend_lanes, block = along * tile_values;
  float* acc = b.acc;
  uint32_t left = b.v_size;
  for (; left >= 2 * tile_rows; left -= 2 * tile_rows, v += 2 * block, acc += 2 * tile_floats)
    mix_tiles<2, panels>(v, p, along, acc, panel);
  if (left >= tile_rows) {
    mix_tiles<1, panels>(v, p, along, acc, panel);
    left -= tile_rows, v += block, acc += tile_floats;
  }
  if (left == 0) return;
  // A tile has more rows than there are values.
  alignas(64) float rest[panels * tile_floats] = {};
  const auto each = [&](auto&& body) {
    for (size_t j = 0; j < panels; ++j) {
      for (size_t i = 0; i < size_t{left} * lanes; i += lanes)
        body(acc + j * panel + i, rest + j * tile_floats + i);
    }
  };
  each([](const float* from, float* to) { store(to, load(from)); });
  mix_tiles<1, panels>(v, p, along, rest, tile_floats);
  each([](float* to, const float* from) { store(to, load(from)); });
}

template <uint32_t panels>
void attend_some(const AttendBlock& b) {
  alignas(64) float s[panels * attend_tokens * lanes];
  alignas(64) uint16_t p[panels * attend_tokens * lanes];
  score<panels>(b, s);
  for (size_t j = 0; j < panels; ++j) {
    constexpr size_t each = size_t{attend_tokens} * lanes;
    soften({b, j, lanes, s + j * each}, p + j * each);
  }
  mix<panels>(b, p);
}

void attend_block(const AttendBlock& b) {
  if (b.panels == 1) {
    attend_some<1>(b);
  } else {
    attend_some<2>(b);
  }
}

void finish(const float* acc, const float* best, const float* total, const float* sinks, uint32_t v_size,
            float* const* out) {
  __m512 all = load(total);
  if (sinks != nullptr) all = add(all, power(_mm512_fmsub_ps(load(sinks), set1(log2_e), load(best))));
  alignas(64) float factor[attend_lanes];
  store(factor, div(set1(1.0F), all));
  finish_rows(acc, factor, v_size, out);
}

void enter() { configure(tile_rows); }
void leave() { _tile_release(); }

}  // namespace

const AttendKernels attend = {pack_queries, pack_keys, pack_values, attend_block, finish, enter, leave};

}  // namespace hearth::cpu::amx
