#include "types/codebook.glsl"
// q[32], h[16], u16 s[4]: d is spread over the top nibbles of s, lowest first; a nibble of h per row.
const uint VALUES = 256, BYTES = 56, GAP = 4;
vec4 decode4(uint at, uint e) {
  uint w = e / 8u, g = e / 32u, s0 = u32_at4(at + 48u), s1 = u32_at4(at + 52u);
  float d = half_at(((s0 >> 12) & 15u) | ((s0 >> 24) & 0xf0u) | ((s1 >> 4) & 0xf00u) | ((s1 >> 16) & 0xf000u));
  uint s = ((g < 4u ? s0 : s1) >> (g / 2u % 2u * 16u)) & 0xffffu;
  float dl = d * float(2u * ((s >> (6u * (g % 2u) + 3u * (w % 4u / 2u))) & 7u) + 1u);
  uint h = (u32_at4(at + 32u + w / 8u * 4u) >> (4u * (w % 8u))) & 15u;
  uint q = (u32_at4(at + w / 4u * 4u) >> (8u * (w % 4u))) & 255u;
  uint row = codebook_row(IQ1_ROWS, q | ((h & 7u) << 8));
  return dl * (iq1_values(row >> (e % 8u * 2u)) + ((h & 8u) != 0u ? -0.125 : 0.125));
}
