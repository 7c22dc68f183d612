const uint VALUES = 8, BYTES = 16, GAP = 4;
vec4 decode4(uint at, uint e) {
  uint i = at / 4u + e / 2u;
  return vec4(unpackHalf2x16(w32[i]), unpackHalf2x16(w32[i + 1u]));
}
