// q[64], f16 d: (two bits − 1) · d; two runs of 32 bytes, within a run the lowest pair of every byte first.
const uint VALUES = 256, BYTES = 66, GAP = 32;
vec4 decode4(uint at, uint e) {
  uint q = (u32_at2(at + e / 128u * 32u + e % 32u) >> (e % 128u / 32u * 2u)) & 0x03030303u;
  return f16_at(at + 64u) * (unsigned_bytes(q) - 1.0);
}
