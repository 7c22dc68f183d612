#include "types/levels.glsl"
// f16 d, q[16]: d · level[nibble], ordered as Q4_0.
const uint VALUES = 32, BYTES = 18, GAP = 16;
vec4 decode4(uint at, uint e) {
  return f16_at(at) * levels_of(iq4_levels, u32_at2(at + 2u + e % 16u) >> (e / 16u * 4u));
}
