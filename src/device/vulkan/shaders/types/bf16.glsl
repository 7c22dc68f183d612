const uint VALUES = 8, BYTES = 16, GAP = 4;
vec4 decode4(uint at, uint e) {
  uint i = at / 4u + e / 2u, a = w32[i], b = w32[i + 1u];
  return uintBitsToFloat(uvec4(a << 16, a & 0xffff0000u, b << 16, b & 0xffff0000u));
}
