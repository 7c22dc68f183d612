// Rows of the IQ types' codebooks, 16 bits each, two a word; where each codebook begins is said in weights.cpp.
layout(binding = 7) readonly buffer Codebooks { uint codebooks[]; };
uint codebook_row(uint first, uint row) {
  uint i = first + row;
  return (codebooks[i >> 1] >> (16u * (i & 1u))) & 0xffffu;
}
// Sign bits of a seven-bit index: the index with its parity as bit 7.
uint signs_of(uint index) { return index | ((uint(bitCount(index)) & 1u) << 7); }
vec4 signed_by(vec4 v, uint signs) {
  return mix(v, -v, bvec4((signs & 1u) != 0u, (signs & 2u) != 0u, (signs & 4u) != 0u, (signs & 8u) != 0u));
}
// Two bits a value: an index into 8, 25, 43.
vec4 iq2_values(uint row) {
  const float levels[4] = float[4](8.0, 25.0, 43.0, 0.0);
  return vec4(levels[row & 3u], levels[(row >> 2) & 3u], levels[(row >> 4) & 3u], levels[(row >> 6) & 3u]);
}
// Two bits a value: an index into −1, 0, 1.
vec4 iq1_values(uint row) {
  return vec4(float(row & 3u), float((row >> 2) & 3u), float((row >> 4) & 3u), float((row >> 6) & 3u)) - 1.0;
}
const uint IQ2_XXS_ROWS = 0, IQ2_XS_ROWS = 256, IQ2_S_ROWS = 768, IQ3_XXS_ROWS = 1792, IQ3_S_ROWS = 2048, IQ1_ROWS = 2560;
