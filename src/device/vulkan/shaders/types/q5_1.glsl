#include "types/fifth.glsl"
// f16 d, f16 m, u32 h (fifth bits), q[16], ordered as Q4_0.
const uint VALUES = 32, BYTES = 24, GAP = 16, GROUP = 32;
const bool MINIMA = true;
uint levels4(uint at, uint e) {
  uint q = (u32_at4(at + 8u + e % 16u) >> (e / 16u * 4u)) & 0x0f0f0f0fu;
  return q | fifth_bits(u32_at4(at + 4u) >> e);
}
vec2 scales(uint at, uint e) { return unpackHalf2x16(u32_at4(at)) * vec2(1.0, -1.0); }
vec4 decode4(uint at, uint e) { return scaled4(scales(at, e), levels4(at, e)); }
