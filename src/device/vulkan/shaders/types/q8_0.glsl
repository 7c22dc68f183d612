// f16 d, i8 q[32].
const uint VALUES = 32, BYTES = 34, GAP = 4;
vec4 decode4(uint at, uint e) { return f16_at(at) * signed_bytes(u32_at2(at + 2u + e)); }
