// sc[16], q[64], f16 d, f16 dmin: (d · (sc & 15)) · q − dmin · (sc >> 4), sixteen sub-blocks of 16.
const uint VALUES = 256, BYTES = 84, GAP = 32, GROUP = 16;
const bool MINIMA = true;
uint levels4(uint at, uint e) {
  return (u32_at4(at + 16u + e / 128u * 32u + e % 32u) >> (e % 128u / 32u * 2u)) & 0x03030303u;
}
vec2 scales(uint at, uint e) {
  uint j = e / 16u, sc = (u32_at4(at + j / 4u * 4u) >> (j % 4u * 8u)) & 255u;
  return unpackHalf2x16(u32_at4(at + 80u)) * vec2(float(sc & 15u), float(sc >> 4));
}
vec4 decode4(uint at, uint e) { return scaled4(scales(at, e), levels4(at, e)); }
