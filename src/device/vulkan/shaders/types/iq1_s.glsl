#include "types/codebook.glsl"
// f16 d, q[32], u16 h[8]: three bits per row index, three bits scale, one bit for the sign of the shift by 1/8.
const uint VALUES = 256, BYTES = 50, GAP = 4;
vec4 decode4(uint at, uint e) {
  uint g = e / 32u, l = e % 32u / 8u, h = u16_at(at + 34u + 2u * g);
  float dl = f16_at(at) * float(2u * ((h >> 12) & 7u) + 1u), shift = (h & 0x8000u) != 0u ? -0.125 : 0.125;
  uint q = (u32_at2(at + 2u + 4u * g) >> (8u * l)) & 255u;
  uint row = codebook_row(IQ1_ROWS, q | (((h >> (3u * l)) & 7u) << 8));
  return dl * (iq1_values(row >> (e % 8u * 2u)) + shift);
}
