// Levels of the nibbles of four bytes, as signed bytes; `table` holds four of the sixteen levels a word.
uint levels_of(uvec4 table, uint q) {
  uint v = 0u;
  [[unroll]] for (int i = 0; i < 4; ++i) {
    uint n = (q >> (8 * i)) & 15u;
    uint word = n < 8u ? (n < 4u ? table.x : table.y) : (n < 12u ? table.z : table.w);
    v |= ((word >> (8u * (n & 3u))) & 255u) << (8 * i);
  }
  return v;
}
// −127 −104 −83 −65 | −49 −35 −22 −10 | 1 13 25 38 | 53 69 89 113
const uvec4 iq4_levels = uvec4(0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u);
// Twice the E2M1 numbers: 0 1 2 3 | 4 6 8 12 | 0 −1 −2 −3 | −4 −6 −8 −12
const uvec4 fp4_levels = uvec4(0x03020100u, 0x0c080604u, 0xfdfeff00u, 0xf4f8fafcu);
