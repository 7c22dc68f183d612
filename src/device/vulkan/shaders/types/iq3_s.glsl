#include "types/codebook.glsl"
// f16 d, q[64], h[8] (ninth bits), signs[32], sc[4]: d · (1 + 2 · scale).
const uint VALUES = 256, BYTES = 110, GAP = 4;
uint u8_at2(uint at) { return (u16_at(at & ~1u) >> (8u * (at & 1u))) & 255u; }
vec4 decode4(uint at, uint e) {
  uint g = e / 32u, r = e % 32u / 4u;
  uint scale = (u8_at2(at + 106u + g / 2u) >> (4u * (g % 2u))) & 15u;
  float db = f16_at(at) * float(1u + 2u * scale);
  uint ninth = (u8_at2(at + 66u + g) >> r) & 1u;
  uint row = codebook_row(IQ3_S_ROWS, u8_at2(at + 2u + e / 4u) | (ninth << 8));
  uint signs = u8_at2(at + 74u + 4u * g + r / 2u) >> (4u * (r % 2u));
  vec4 v = 1.0 + 2.0 * vec4(float(row & 7u), float((row >> 3) & 7u), float((row >> 6) & 7u), float((row >> 9) & 7u));
  return signed_by(db * v, signs);
}
