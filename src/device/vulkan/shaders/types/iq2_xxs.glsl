#include "types/codebook.glsl"
// f16 d, then per group of 32: four row indices, u32 with four sign indices and the scale.
const uint VALUES = 256, BYTES = 66, GAP = 4;
vec4 decode4(uint at, uint e) {
  uint q = at + 2u + e / 32u * 8u, l = e % 32u / 8u, half_row = e % 8u;
  uint a = u32_at2(q + 4u);
  float db = (f16_at(at) * (0.5 + float(a >> 28))) * 0.25;
  uint row = codebook_row(IQ2_XXS_ROWS, (u32_at2(q) >> (8u * l)) & 255u);
  return signed_by(db * iq2_values(row >> (2u * half_row)), signs_of((a >> (7u * l)) & 127u) >> half_row);
}
