// Attention of prompt rows in tiles of bfloat16. Scores are keys × queries and results are values × weights,
// so that a lane is a query in both: a block's tokens are the rows of the one's left-hand tiles and the
// columns of the other's.
#include "device/cpu/amx/kernels.h"
#include "device/cpu/amx/product.h"
#include "device/cpu/avx512/turn.h"
#include "device/cpu/avx512/vec.h"
#include "device/cpu/avx512vnni/soften.h"
#include "device/cpu/wide/reduce.h"

namespace hearth::cpu::amx {
namespace {

constexpr uint32_t deep = 32;  // columns of a left-hand tile, rows of a right-hand one

constexpr uint32_t tiles_of(uint32_t values, uint32_t each) { return (values + each - 1) / each; }

inline __mmask16 lanes_of(uint32_t left) {
  return left >= lanes ? _cvtu32_mask16(0xffffU) : first_lanes(left);
}
// 32 values, of which `left` are there, times `by` as bfloat16.
inline __m512i thirty_two(const float* p, uint32_t left, __m512 by) {
  const __m512 low = _mm512_maskz_loadu_ps(lanes_of(left), p);
  const __m512 high = left > lanes ? _mm512_maskz_loadu_ps(lanes_of(left - lanes), p + lanes) : zero();
  return (__m512i)_mm512_cvtne2ps_pbh(mul(high, by), mul(low, by));
}
// Two neighbours along k of every lane, side by side.
inline __m512i side_by_side(__m512 first, __m512 second) {
  const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(second, first);
  alignas(64) static constexpr uint16_t order[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                     21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                     11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  return _mm512_permutexvar_epi16(_mm512_load_si512(order), both);
}

// Sixteen vectors, turned, as a tile.
inline void put_turned(__m512i (&rows)[16], uint16_t* out) {
  turn(rows);
  for (size_t i = 0; i < 16; ++i) _mm512_storeu_si512(out + i * deep, rows[i]);
}

// Right-hand tiles: [k / 2][16 queries][2]. 32 values of sixteen queries at a time.
void pack_queries(const float* const* q, uint32_t k_size, float factor, void* panel, float* scale) {
  for (size_t i = 0; i < attend_lanes; ++i) scale[i] = 1.0F;
  const __m512 by = set1(factor * log2_e);
  auto* to = static_cast<uint16_t*>(panel);
  for (uint32_t d = 0; d < tiles_of(k_size, deep) * deep; d += deep, to += tile_values) {
    __m512i rows[16];
    for (size_t i = 0; i < 16; ++i)
      rows[i] = q[i] != nullptr ? thirty_two(q[i] + d, k_size - d, by) : _mm512_setzero_si512();
    put_turned(rows, to);
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
      const __m512i v = real ? thirty_two(k + size_t{t} * size + d * deep, size - d * deep, set1(1.0F))
                             : _mm512_setzero_si512();
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
      put_turned(pairs, to);
    }
  }
}

// 2^x for x ≤ 0 as bfloat16, two tokens of every lane side by side. In units of 1/128 and with 127 · 128
// added, x is that number already, but for its mantissa: 1 + f instead of 2^f. What is too much there comes
// from a table, for two values of f at once. Error: at most 0.7 %, 0.23 % in the mean, where rounding alone
// has 0.17 %.
inline __m512i powers(__m512 first, __m512 second, __m512 bias) {
  alignas(64) static constexpr uint8_t excess[64] = {
      0,  1,  1,  2,  2,  3,  4,  4,  5,  5,  5,  6,  6,  7,  7,  8,  8,  8,  9,  9,  9,  9,
      10, 10, 10, 10, 10, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 10, 10, 10,
      10, 10, 9,  9,  9,  8,  8,  8,  7,  7,  6,  6,  5,  5,  4,  3,  3,  2,  1,  1};
  const __m512 units = set1(128.0F);
  const __m512i a = _mm512_cvtps_epi32(fma(first, units, bias)),
                b = _mm512_cvtps_epi32(fma(second, units, bias));
  const __m512i pairs =
      _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15));
  const __m512i x =
      _mm512_max_epi16(_mm512_shuffle_epi8(_mm512_packs_epi32(a, b), pairs), _mm512_setzero_si512());
  constexpr __mmask64 low_bytes = 0x5555555555555555;
  const __m512i off =
      _mm512_maskz_permutexvar_epi8(low_bytes, _mm512_srli_epi16(x, 1), _mm512_load_si512(excess));
  return _mm512_subs_epu16(x, off);
}

// Blocks that lie in the same 256 tokens are weighed together: their sums stay in the tiles.
constexpr uint32_t group_blocks = 4;
constexpr size_t block_scores = size_t{attend_tokens} * lanes;
struct Group {
  const AttendBlock* blocks;
  uint32_t count;
};

// One panel's scores of a block → weights relative to `best`, a right-hand operand [token / 2][16][2] with
// zeros for tokens that fill up the last tile. Returns their sum.
inline __m512 weigh(const Softening& u, __m512 best, uint16_t* p) {
  const __m512 bias = fma(best, set1(-128.0F), set1(127.0F * 128.0F)), hidden = set1(attend_hidden);
  const __m512bh ones = (__m512bh)_mm512_set1_epi16(0x3f80);
  const uint32_t tokens = u.b.tokens;
  __m512 total = zero();
  uint32_t t = 0;
  for (; t + 2 <= tokens; t += 2, p += 2 * lanes) {
    const __m512i both = powers(load(u.score(t)), load(u.score(t + 1)), bias);
    total = _mm512_dpbf16_ps(total, (__m512bh)both, ones);
    _mm512_storeu_si512(p, both);
  }
  for (; t < tiles_of(tokens, deep) * deep; t += 2, p += 2 * lanes) {
    const __m512i last = powers(t < tokens ? load(u.score(t)) : hidden, hidden, bias);
    total = _mm512_dpbf16_ps(total, (__m512bh)last, ones);
    _mm512_storeu_si512(p, last);
  }
  return total;
}

// The same for a group. What was summed before is brought down to the same measure.
inline void soften(const Group& g, size_t panel, float* s, uint16_t* p) {
  const AttendBlock& b = g.blocks[0];
  const auto part = [&](uint32_t i) { return Softening{g.blocks[i], panel, lanes, s + i * block_scores}; };
  float *best_at = b.best + panel * lanes, *total_at = b.total + panel * lanes;
  const __m512 before = load(best_at);
  __m512 best = before, total = zero();
  for (uint32_t i = 0; i < g.count; ++i) {
    const Softening u = part(i);
    if (b.soft_cap > 0) u.cap(set1(1.0F));
    if (u.hides_some()) u.hide();
    best = max(best, u.largest());
  }
  for (uint32_t i = 0; i < g.count; ++i) total = add(total, weigh(part(i), best, p + i * block_scores));
  const __m512 down = power(sub(before, best));
  store(best_at, best);
  store(total_at, fma(load(total_at), down, total));
  if (_mm512_cmpneq_ps_mask(down, set1(1.0F)) == 0) return;
  float* acc = b.acc + panel * b.v_size * attend_lanes;
  for (uint32_t d = 0; d < b.v_size; ++d) store(acc + d * lanes, mul(load(acc + d * lanes), down));
}

constexpr size_t group_scores = group_blocks * block_scores;

// s[token][16] of one or two panels, group_scores apart.
template <uint32_t panels>
inline void score(const AttendBlock& b, float* s) {
  const uint32_t across = tiles_of(b.k_size, deep);
  const size_t step = across * tile_values;
  const auto *k = static_cast<const uint16_t*>(b.k), *q = static_cast<const uint16_t*>(b.q);
  uint32_t left = tiles_of(b.tokens, tile_rows);
  for (; left >= 2; left -= 2, k += 2 * step, s += 2 * tile_floats) {
    clear_sums();
    multiply_tiles<2, panels>(k, step, q, 2 * b.q_step, across);
    store_sums<2, panels>({s, tile_floats, group_scores, lanes});
  }
  if (left == 0) return;
  clear_sums();
  multiply_tiles<1, panels>(k, step, q, 2 * b.q_step, across);
  store_sums<1, panels>({s, tile_floats, group_scores, lanes});
}

// Sixteen or 32 values of a head, from number `d` on: sums += values × weights over a group. Panels lie
// `panel` floats apart.
template <uint32_t lefts, uint32_t panels>
inline void mix_some(const Group& g, uint32_t d, const uint16_t* p, float* to, size_t panel) {
  const TileSums sums = {to, tile_floats, panel, lanes};
  load_sums<lefts, panels>(sums);
  for (uint32_t i = 0; i < g.count; ++i, p += block_scores) {
    const uint32_t along = tiles_of(g.blocks[i].tokens, deep);
    const auto* v = static_cast<const uint16_t*>(g.blocks[i].v) + d / tile_rows * along * tile_values;
    multiply_tiles<lefts, panels>(v, along * tile_values, p, group_scores, along);
  }
  store_sums<lefts, panels>(sums);
}

// acc[panel][value][16] += values × weights
template <uint32_t panels>
inline void mix(const Group& g, const uint16_t* p) {
  const uint32_t size = g.blocks[0].v_size;
  const size_t panel = size_t{size} * attend_lanes;
  float* acc = g.blocks[0].acc;
  uint32_t d = 0;
  for (; d + 2 * tile_rows <= size; d += 2 * tile_rows) mix_some<2, panels>(g, d, p, acc + d * lanes, panel);
  for (; d + tile_rows <= size; d += tile_rows) mix_some<1, panels>(g, d, p, acc + d * lanes, panel);
  if (d == size) return;
  // A tile has more rows than there are values.
  alignas(64) float rest[panels * tile_floats] = {};
  const size_t floats = size_t{size - d} * lanes;
  const auto each = [&](auto&& body) {
    for (size_t j = 0; j < panels; ++j) {
      for (size_t i = 0; i < floats; i += lanes)
        body(acc + j * panel + d * lanes + i, rest + j * tile_floats + i);
    }
  };
  each([](const float* from, float* to) { store(to, load(from)); });
  mix_some<1, panels>(g, d, p, rest, tile_floats);
  each([](float* to, const float* from) { store(to, load(from)); });
}

template <uint32_t panels>
void attend_group(const Group& g) {
  alignas(64) float s[panels * group_scores];
  alignas(64) uint16_t p[panels * group_scores];
  for (uint32_t i = 0; i < g.count; ++i) score<panels>(g.blocks[i], s + i * block_scores);
  for (size_t j = 0; j < panels; ++j) soften(g, j, s + j * group_scores, p + j * group_scores);
  mix<panels>(g, p);
}

void attend_blocks(const AttendBlock* blocks, uint32_t count) {
  constexpr uint32_t tokens = group_blocks * attend_tokens;
  while (count > 0) {
    Group g = {blocks, 1};
    while (g.count < count && blocks[g.count].at / tokens == blocks[0].at / tokens) ++g.count;
    if (blocks[0].panels == 1) {
      attend_group<1>(g);
    } else {
      attend_group<2>(g);
    }
    blocks += g.count;
    count -= g.count;
  }
}

void enter() { configure(tile_rows); }
void leave() { _tile_release(); }

}  // namespace

const AttendKernels attend = {pack_queries, pack_keys, pack_values,        attend_blocks, finish,
                              enter,        leave,     most_attend_blocks, 1024};

}  // namespace hearth::cpu::amx
