#include "types/codebook.glsl"
// f16 d, q[32], signs[32], h[8] (two more bits per row), sc[8].
const uint VALUES = 256, BYTES = 82, GAP = 4;
uint u8_at2(uint at) { return (u16_at(at & ~1u) >> (8u * (at & 1u))) & 255u; }
vec4 decode4(uint at, uint e) {
  uint w = e / 8u, half_row = e % 8u;
  uint high = (u8_at2(at + 66u + w / 4u) >> (2u * (w % 4u))) & 3u;
  uint scale = (u8_at2(at + 74u + w / 4u) >> (w % 4u / 2u * 4u)) & 15u;
  float db = (f16_at(at) * (0.5 + float(scale))) * 0.25;
  uint row = codebook_row(IQ2_S_ROWS, u8_at2(at + 2u + w) | (high << 8));
  return signed_by(db * iq2_values(row >> (2u * half_row)), u8_at2(at + 34u + w) >> half_row);
}
