#include "types/fifth.glsl"
// f16 d, u32 h (fifth bits), q[16], ordered as Q4_0.
const uint VALUES = 32, BYTES = 22, GAP = 16;
vec4 decode4(uint at, uint e) {
  uint q = (u32_at2(at + 6u + e % 16u) >> (e / 16u * 4u)) & 0x0f0f0f0fu;
  q |= fifth_bits(u32_at2(at + 2u) >> e);
  return f16_at(at) * (unsigned_bytes(q) - 16.0);
}
