#include "types/codebook.glsl"
// f16 d, q[64], u32 a[8]: eight rows of four per group, row pairs share a sign index.
const uint VALUES = 256, BYTES = 98, GAP = 4;
vec4 decode4(uint at, uint e) {
  uint g = e / 32u, r = e % 32u / 4u, a = u32_at2(at + 66u + 4u * g);
  float db = (f16_at(at) * (0.5 + float(a >> 28))) * 0.5;
  uint q = (u16_at(at + 2u + e / 8u * 2u) >> (r % 2u * 8u)) & 255u;
  uint row = codebook_row(IQ3_XXS_ROWS, q), signs = signs_of((a >> (7u * (r / 2u))) & 127u) >> (4u * (r % 2u));
  const float levels[8] = float[8](4.0, 12.0, 20.0, 28.0, 36.0, 44.0, 52.0, 62.0);
  vec4 v = vec4(levels[row & 7u], levels[(row >> 3) & 7u], levels[(row >> 6) & 7u], levels[(row >> 9) & 7u]);
  return signed_by(db * v, signs);
}
