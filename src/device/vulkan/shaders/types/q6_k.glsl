// ql[128], qh[64], i8 sc[16], f16 d: (d · sc) · (q − 32).
const uint VALUES = 256, BYTES = 210, GAP = 64, GROUP = 16;
const bool MINIMA = false;
#define LEVELS16
uint levels4(uint at, uint e) {
  uint g = e / 128u, r = e % 128u / 32u, i = e % 32u;
  uint q = (u32_at2(at + 64u * g + r % 2u * 32u + i) >> (r / 2u * 4u)) & 0x0f0f0f0fu;
  q |= ((u32_at2(at + 128u + 32u * g + i) >> (2u * r)) & 0x03030303u) << 4;
  return lowered(q, 0x20202020u);
}
uvec4 levels16(uint at, uint e) {
  uint g = e / 128u, r = e % 128u / 32u, i = e % 32u;
  uvec4 q = (u128_at2(at + 64u * g + r % 2u * 32u + i) >> (r / 2u * 4u)) & 0x0f0f0f0fu;
  q |= ((u128_at2(at + 128u + 32u * g + i) >> (2u * r)) & 0x03030303u) << 4;
  return lowered(q, 0x20202020u);
}
vec2 scales(uint at, uint e) {
  uint j = e / 16u;
  int sc = bitfieldExtract(int(u16_at(at + 192u + j / 2u * 2u)), int(j % 2u) * 8, 8);
  return vec2(f16_at(at + 208u) * float(sc), 0.0);
}
vec4 decode4(uint at, uint e) { return scaled4(scales(at, e), levels4(at, e)); }
