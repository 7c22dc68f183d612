// Bindings, parameters and last step of the products x·Wᵀ; `gemv` and `tile` differ in how they sum.
// A type is one file of types/: VALUES per block, BYTES per block, GAP (below) and decode4(at, e), the values e..e+3
// (e a multiple of 4) of the block that begins at byte `at`. Values e and e + GAP come from the same bytes of a block, so
// that a thread which takes both reads these once.
// A type that can be multiplied as integers also has levels4(at, e), four levels as signed bytes, and scales(at, e), scale
// and minimum of the GROUP of values to which e belongs: value = scale · level − minimum; without MINIMA the latter is 0.
// LEVELS16: it has levels16(at, e) too, the levels e..e+15 (e a multiple of 16), read together.
// INTEGER: the input is what round.glsl made of the activations; MATRIX: what halve.glsl made of them.
layout(binding = 0) readonly buffer Weights32 { uint w32[]; };
layout(binding = 0) readonly buffer Weights16 { uint16_t w16[]; };
layout(binding = 0) readonly buffer Weights128 { uvec4 w128[]; };  // of types whose blocks are multiples of 16 bytes
#ifdef INTEGER
layout(binding = 1) readonly buffer Rounded { uint x_words[]; };
layout(binding = 1) readonly buffer Rounded4 { uvec4 x_words4[]; };
#elif defined(MATRIX)
layout(binding = 1) readonly buffer Halved { uint x_words[]; };
layout(binding = 1) readonly buffer Halved2 { uvec2 x_words2[]; };
#else
layout(binding = 1) readonly buffer Input { vec4 x4[]; };
#endif
layout(binding = 2) buffer Output { float y[]; };
layout(binding = 3) readonly buffer Bias { float bias[]; };
layout(binding = 4) readonly buffer Other { float other[]; };
layout(binding = 4) readonly buffer Groups { uint groups[]; };  // of group.glsl
layout(binding = 5) readonly buffer Step { uint steps[]; };

layout(push_constant) uniform Push {
  uint cols;       // values per weight row
  uint count;      // weight rows of this binding (of one expert)
  uint first;      // number of its first row in the whole matrix
  uint row_bytes;
  uint first_row;  // activation rows (or pairs of row and expert) [first_row, first_row + rows)
  uint rows;
  uint x_at, y_at, bias_at, other_at;  // where the bindings begin, in values
  uint y_cols;
  float scale;
  float soft_cap;
  uint flags;      // 1 bias, 2 add `other`, 4 activate `other` and multiply with it, 8 x rows are pairs
  uint act;
  uint route_at, used;               // experts of row r: route[route_at + r · 2 used + u], in the vector's binding
  uint first_expert, experts;        // those of this binding
  uint row_base;                     // activation row of the first pair
  uint second;                       // bytes from the gate to the matrix that is multiplied with it (gemv_gated)
  float gate_scale;
};

uint u16_at(uint at) { return uint(w16[at >> 1]); }
uint u32_at2(uint at) { return u16_at(at) | (u16_at(at + 2u) << 16); }  // two-byte alignment
uint u32_at4(uint at) { return w32[at >> 2]; }
uvec4 u128_at2(uint at) {
  uint i = at >> 2;
  uvec4 w = uvec4(w32[i], w32[i + 1u], w32[i + 2u], w32[i + 3u]);
  if ((at & 2u) == 0u) return w;
  return (w >> 16) | (uvec4(w.yzw, w32[i + 4u]) << 16);
}
float f16_at(uint at) { return half_at(u16_at(at)); }

// Bytes of q less those of n, all of them below 128.
uint lowered(uint q, uint n) { return ((q | 0x80808080u) - n) ^ 0x80808080u; }
uvec4 lowered(uvec4 q, uint n) { return ((q | 0x80808080u) - n) ^ 0x80808080u; }
vec4 scaled4(vec2 s, uint levels) { return s.x * signed_bytes(levels) - s.y; }

#ifdef INTEGER
#include "rounded.glsl"
uint row_words() { return rounded_words(cols); }
float scale_of(uint x_row, uint column) { return uintBitsToFloat(x_words[x_row + cols / 4u + column / 32u]); }
int sum_of_bytes(uvec4 x) {
  return dot4(x.x, 0x01010101u) + dot4(x.y, 0x01010101u) + dot4(x.z, 0x01010101u) + dot4(x.w, 0x01010101u);
}
#elif defined(MATRIX)
// A row of halved activations: two a word, then a float, the row's scale, padded to whole uvec4.
uint row_words() { return cols / 2u + 4u; }
float scale_of(uint x_row) { return uintBitsToFloat(x_words[x_row + cols / 2u]); }
#endif

// Of a product with experts: the row is a pair of a row and one of its experts.
uint row_of_pair(uint pair) { return (flags & 8u) == 0u ? row_base + pair / used : pair; }

float finished(float sum, uint column, uint at) {
  precise float v = sum * scale;
  if ((flags & 1u) != 0u) v = v + bias[bias_at + column];
  if ((flags & 4u) != 0u) return activate(act, other[other_at + at]) * v;
  v = activate(act, v);
  if (soft_cap > 0.0) v = soft_cap * tanh_exact(v / soft_cap);
  if ((flags & 2u) != 0u) v = v + other[other_at + at];
  return v;
}
