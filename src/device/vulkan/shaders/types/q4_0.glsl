// f16 d, q[16]: low nibbles are values 0–15, high ones 16–31.
const uint VALUES = 32, BYTES = 18, GAP = 16, GROUP = 32;
const bool MINIMA = false;
#define LEVELS16
uint levels4(uint at, uint e) {
  return lowered((u32_at2(at + 2u + e % 16u) >> (e / 16u * 4u)) & 0x0f0f0f0fu, 0x08080808u);
}
uvec4 levels16(uint at, uint e) {
  return lowered((u128_at2(at + 2u) >> (e / 16u * 4u)) & 0x0f0f0f0fu, 0x08080808u);
}
vec2 scales(uint at, uint e) { return vec2(f16_at(at), 0.0); }
vec4 decode4(uint at, uint e) { return scaled4(scales(at, e), levels4(at, e)); }
