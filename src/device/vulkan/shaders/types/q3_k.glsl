// hm[32], q[64], sc[12], f16 d: (d · scale) · (q − (bit of hm set ? 0 : 4)). Scales have six bits: the low four are
// nibbles, the upper two lie in the last four bytes.
const uint VALUES = 256, BYTES = 110, GAP = 32, GROUP = 16;
const bool MINIMA = false;
uint levels4(uint at, uint e) {
  uint g = e / 128u, r = e % 128u / 32u;
  uint q = (u32_at2(at + 32u + 32u * g + e % 32u) >> (2u * r)) & 0x03030303u;
  uint high = (u32_at2(at + e % 32u) >> (4u * g + r)) & 0x01010101u;
  return lowered(q | (high << 2), 0x04040404u);
}
vec2 scales(uint at, uint e) {
  uint j = e / 16u;
  uint low4 = (u16_at(at + 96u + j % 8u / 2u * 2u) >> (j % 2u * 8u + j / 8u * 4u)) & 15u;
  uint high2 = (u16_at(at + 104u + j % 4u / 2u * 2u) >> (j % 2u * 8u + j / 4u * 2u)) & 3u;
  return vec2(f16_at(at + 108u) * (float(low4 | (high2 << 4)) - 32.0), 0.0);
}
vec4 decode4(uint at, uint e) { return scaled4(scales(at, e), levels4(at, e)); }
