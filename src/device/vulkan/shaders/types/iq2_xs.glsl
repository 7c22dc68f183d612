#include "types/codebook.glsl"
// f16 d, u16 q[32] (nine bits row, seven bits sign index), sc[8]: two scales per group.
const uint VALUES = 256, BYTES = 74, GAP = 4;
vec4 decode4(uint at, uint e) {
  uint w = e / 8u, half_row = e % 8u, q = u16_at(at + 2u + 2u * w);
  uint scale = (u16_at(at + 66u + w / 8u * 2u) >> (w / 4u % 2u * 8u + w % 4u / 2u * 4u)) & 15u;
  float db = (f16_at(at) * (0.5 + float(scale))) * 0.25;
  uint row = codebook_row(IQ2_XS_ROWS, q & 511u);
  return signed_by(db * iq2_values(row >> (2u * half_row)), signs_of(q >> 9) >> half_row);
}
