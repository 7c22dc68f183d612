#include "types/bytes.glsl"
#include "types/levels.glsl"
// u8 e, q[16]: level[nibble] · 2^(e − 128), ordered as Q4_0; levels are twice the E2M1 numbers.
const uint VALUES = 32, BYTES = 17, GAP = 16, GROUP = 32;
const bool MINIMA = false;
float power_of_two(uint e) {  // 2^(e − 128), subnormal below e = 2
  return uintBitsToFloat(e >= 2u ? (e - 1u) << 23 : 0x200000u << e);
}
uint levels4(uint at, uint e) { return levels_of(fp4_levels, u32_at1(at + 1u + e % 16u) >> (e / 16u * 4u)); }
vec2 scales(uint at, uint e) { return vec2(power_of_two(u8_at(at)), 0.0); }
vec4 decode4(uint at, uint e) { return scaled4(scales(at, e), levels4(at, e)); }
