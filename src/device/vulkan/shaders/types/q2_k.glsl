// sc[16], q[64], f16 d, f16 dmin: (d · (sc & 15)) · q − dmin · (sc >> 4), sixteen sub-blocks of 16.
const uint VALUES = 256, BYTES = 84, GAP = 32;
vec4 decode4(uint at, uint e) {
  uint j = e / 16u, g = e / 128u, r = e % 128u / 32u;
  uint q = (u32_at4(at + 16u + 32u * g + e % 32u) >> (2u * r)) & 0x03030303u;
  uint sc = (u32_at4(at + j / 4u * 4u) >> (j % 4u * 8u)) & 255u;
  vec2 d = unpackHalf2x16(u32_at4(at + 80u));
  return (d.x * float(sc & 15u)) * unsigned_bytes(q) - d.y * float(sc >> 4);
}
