// f16 d, i8 q[32].
const uint VALUES = 32, BYTES = 34, GAP = 4, GROUP = 32;
const bool MINIMA = false;
#define LEVELS16
uint levels4(uint at, uint e) { return u32_at2(at + 2u + e); }
uvec4 levels16(uint at, uint e) { return u128_at2(at + 2u + e); }
vec2 scales(uint at, uint e) { return vec2(f16_at(at), 0.0); }
vec4 decode4(uint at, uint e) { return scaled4(scales(at, e), levels4(at, e)); }
