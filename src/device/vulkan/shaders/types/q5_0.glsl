#include "types/fifth.glsl"
// f16 d, u32 h (fifth bits), q[16], ordered as Q4_0.
const uint VALUES = 32, BYTES = 22, GAP = 16, GROUP = 32;
const bool MINIMA = false;
uint levels4(uint at, uint e) {
  uint q = (u32_at2(at + 6u + e % 16u) >> (e / 16u * 4u)) & 0x0f0f0f0fu;
  return lowered(q | fifth_bits(u32_at2(at + 2u) >> e), 0x10101010u);
}
vec2 scales(uint at, uint e) { return vec2(f16_at(at), 0.0); }
vec4 decode4(uint at, uint e) { return scaled4(scales(at, e), levels4(at, e)); }
