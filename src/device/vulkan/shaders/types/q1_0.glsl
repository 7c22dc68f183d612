// f16 d, bits[16]: set +d, clear −d.
const uint VALUES = 128, BYTES = 18, GAP = 4;
vec4 decode4(uint at, uint e) {
  uint q = u16_at(at + 2u + e / 16u * 2u) >> (e % 16u);
  return f16_at(at) * (2.0 * vec4(float(q & 1u), float((q >> 1) & 1u), float((q >> 2) & 1u), float((q >> 3) & 1u)) - 1.0);
}
