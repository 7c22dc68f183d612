// f16 d, q[16]: low nibbles are values 0–15, high ones 16–31.
const uint VALUES = 32, BYTES = 18, GAP = 16;
vec4 decode4(uint at, uint e) {
  uint q = (u32_at2(at + 2u + e % 16u) >> (e / 16u * 4u)) & 0x0f0f0f0fu;
  return f16_at(at) * (unsigned_bytes(q) - 8.0);
}
