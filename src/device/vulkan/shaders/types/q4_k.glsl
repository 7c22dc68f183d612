#include "types/scale_min.glsl"
// f16 d, f16 dmin, sc[12], q[128]: (d · scale) · q − dmin · minimum, eight sub-blocks of 32.
const uint VALUES = 256, BYTES = 144, GAP = 32;
vec4 decode4(uint at, uint e) {
  uint j = e / 32u;
  uint q = (u32_at4(at + 16u + e / 64u * 32u + e % 32u) >> (j % 2u * 4u)) & 0x0f0f0f0fu;
  vec2 d = unpackHalf2x16(u32_at4(at)) * scale_min(at + 4u, j);
  return d.x * unsigned_bytes(q) - d.y;
}
