// f16 d, q[16]: (two bits − 1) · d, value i at bit 2·(i mod 4) of byte i / 4.
const uint VALUES = 64, BYTES = 18, GAP = 4;
vec4 decode4(uint at, uint e) {
  uint q = u16_at(at + 2u + e / 8u * 2u) >> (e % 8u * 2u);
  return f16_at(at) * (vec4(float(q & 3u), float((q >> 2) & 3u), float((q >> 4) & 3u), float((q >> 6) & 3u)) - 1.0);
}
