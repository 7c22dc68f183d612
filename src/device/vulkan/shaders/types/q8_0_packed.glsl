// Eight blocks of Q8_0 as weights.h puts them together: f16 d[8], i8 q[256].
const uint VALUES = 256, BYTES = 272, GAP = 128, GROUP = 32;
const bool MINIMA = false;
#define LEVELS16
uint levels4(uint at, uint e) { return u32_at4(at + 16u + e); }
uvec4 levels16(uint at, uint e) { return w128[at / 16u + 1u + e / 16u]; }
vec2 scales(uint at, uint e) { return vec2(f16_at(at + e / 32u * 2u), 0.0); }
vec4 decode4(uint at, uint e) { return scaled4(scales(at, e), levels4(at, e)); }
