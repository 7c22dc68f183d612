// ql[128], qh[64], i8 sc[16], f16 d: (d · sc) · (q − 32).
const uint VALUES = 256, BYTES = 210, GAP = 64;
vec4 decode4(uint at, uint e) {
  uint g = e / 128u, r = e % 128u / 32u, i = e % 32u, j = e / 16u;
  uint q = (u32_at2(at + 64u * g + r % 2u * 32u + i) >> (r / 2u * 4u)) & 0x0f0f0f0fu;
  q |= ((u32_at2(at + 128u + 32u * g + i) >> (2u * r)) & 0x03030303u) << 4;
  int sc = bitfieldExtract(int(u16_at(at + 192u + j / 2u * 2u)), int(j % 2u) * 8, 8);
  return (f16_at(at + 208u) * float(sc)) * (unsigned_bytes(q) - 32.0);
}
