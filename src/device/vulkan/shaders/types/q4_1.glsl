// f16 d, f16 m, q[16], ordered as Q4_0.
const uint VALUES = 32, BYTES = 20, GAP = 16;
vec4 decode4(uint at, uint e) {
  uint q = (u32_at4(at + 4u + e % 16u) >> (e / 16u * 4u)) & 0x0f0f0f0fu;
  vec2 dm = unpackHalf2x16(u32_at4(at));
  return dm.x * unsigned_bytes(q) + dm.y;
}
