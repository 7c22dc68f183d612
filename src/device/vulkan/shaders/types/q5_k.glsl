#include "types/scale_min.glsl"
// f16 d, f16 dmin, sc[12], h[32], q[128]: as Q4_K, bit j of h is the fifth bit.
const uint VALUES = 256, BYTES = 176, GAP = 32, GROUP = 32;
const bool MINIMA = true;
#define LEVELS16
uint levels4(uint at, uint e) {
  uint j = e / 32u;
  uint q = (u32_at4(at + 48u + e / 64u * 32u + e % 32u) >> (j % 2u * 4u)) & 0x0f0f0f0fu;
  return q | (((u32_at4(at + 16u + e % 32u) >> j) & 0x01010101u) << 4);
}
uvec4 levels16(uint at, uint e) {
  uint j = e / 32u, half_of = e % 32u / 16u;
  uvec4 q = (w128[at / 16u + 3u + e / 64u * 2u + half_of] >> (j % 2u * 4u)) & 0x0f0f0f0fu;
  return q | (((w128[at / 16u + 1u + half_of] >> j) & 0x01010101u) << 4);
}
vec2 scales(uint at, uint e) { return scale_min(w128[at / 16u], e / 32u); }
vec4 decode4(uint at, uint e) { return scaled4(scales(at, e), levels4(at, e)); }
