const uint VALUES = 8, BYTES = 32, GAP = 4;
vec4 decode4(uint at, uint e) {
  uint i = at / 4u + e;
  return uintBitsToFloat(uvec4(w32[i], w32[i + 1u], w32[i + 2u], w32[i + 3u]));
}
