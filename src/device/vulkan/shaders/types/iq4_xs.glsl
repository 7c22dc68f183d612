#include "types/levels.glsl"
// f16 d, u16 sh, sl[4], q[128]: (d · (six-bit scale − 32)) · level[nibble] per group of 32.
const uint VALUES = 256, BYTES = 136, GAP = 16, GROUP = 32;
const bool MINIMA = false;
uint levels4(uint at, uint e) {
  return levels_of(iq4_levels, u32_at4(at + 8u + e / 32u * 16u + e % 16u) >> (e / 16u % 2u * 4u));
}
vec2 scales(uint at, uint e) {
  uint g = e / 32u, head = u32_at4(at);
  uint low = (u32_at4(at + 4u) >> (4u * g)) & 15u, high = (head >> (16u + 2u * g)) & 3u;
  return vec2(half_at(head & 0xffffu) * (float(low | (high << 4)) - 32.0), 0.0);
}
vec4 decode4(uint at, uint e) { return scaled4(scales(at, e), levels4(at, e)); }
