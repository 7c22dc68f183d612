#include "types/scale_min.glsl"
// f16 d, f16 dmin, sc[12], q[128]: (d · scale) · q − dmin · minimum, eight sub-blocks of 32.
const uint VALUES = 256, BYTES = 144, GAP = 32, GROUP = 32;
const bool MINIMA = true;
#define LEVELS16
uint levels4(uint at, uint e) {
  return (u32_at4(at + 16u + e / 64u * 32u + e % 32u) >> (e / 32u % 2u * 4u)) & 0x0f0f0f0fu;
}
uvec4 levels16(uint at, uint e) {
  return (w128[at / 16u + 1u + e / 64u * 2u + e % 32u / 16u] >> (e / 32u % 2u * 4u)) & 0x0f0f0f0fu;
}
vec2 scales(uint at, uint e) { return scale_min(w128[at / 16u], e / 32u); }
vec4 decode4(uint at, uint e) { return scaled4(scales(at, e), levels4(at, e)); }
