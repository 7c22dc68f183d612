#include "types/levels.glsl"
// u8 s[4], q[32]: four runs of 16 with a scale each (unsigned E4M3), ordered as Q4_0 within the run.
const uint VALUES = 64, BYTES = 36, GAP = 8, GROUP = 16;
const bool MINIMA = false;
float half_e4m3(uint s) {
  if (s == 0u || s == 0x7fu) return 0.0;
  uint exponent = (s >> 3) & 15u, mantissa = s & 7u;
  if (exponent == 0u) return float(mantissa) / 1024.0;
  return float(8u + mantissa) * uintBitsToFloat((exponent + 116u) << 23);
}
uint levels4(uint at, uint e) {
  uint r = e / 16u;
  return levels_of(fp4_levels, u32_at4(at + 4u + 8u * r + e % 8u) >> (e / 8u % 2u * 4u));
}
vec2 scales(uint at, uint e) { return vec2(half_e4m3((u32_at4(at) >> (8u * (e / 16u))) & 255u), 0.0); }
vec4 decode4(uint at, uint e) { return scaled4(scales(at, e), levels4(at, e)); }
