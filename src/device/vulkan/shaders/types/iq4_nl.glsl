#include "types/levels.glsl"
// f16 d, q[16]: d · level[nibble], ordered as Q4_0.
const uint VALUES = 32, BYTES = 18, GAP = 16, GROUP = 32;
const bool MINIMA = false;
uint levels4(uint at, uint e) { return levels_of(iq4_levels, u32_at2(at + 2u + e % 16u) >> (e / 16u * 4u)); }
vec2 scales(uint at, uint e) { return vec2(f16_at(at), 0.0); }
vec4 decode4(uint at, uint e) { return scaled4(scales(at, e), levels4(at, e)); }
