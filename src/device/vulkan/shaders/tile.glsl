// Prompts: 64 activation rows × 64 weight rows per work group, 32 columns at a time through shared memory. A thread sums
// 8 × 4 results. tile_float.glsl and tile_integer.glsl say what passes through shared memory and how it is multiplied.
//
// EXPERTS: the activation rows are pairs of a row and one of its experts, put together by expert (group.glsl); a tile is of
// one expert, and the part of it that no pair fills is not computed.
layout(local_size_x = 128) in;
layout(constant_id = 0) const uint EXPERTS = 0;
const uint TILE = 64, DEPTH = 32, STRIDE = TILE + 1;
uint m0, here, base;  // first line of the tile in its list, lines, byte where the matrix begins
float acc[32];

// The row, or pair, of a line of the tile; lines that are not there repeat the last one.
uint output_row(uint line) {
  const uint m = m0 + min(line, here - 1u);
  return EXPERTS == 0u ? first_row + m : groups[route_at + m];
}
uint input_row(uint line) { return EXPERTS == 0u ? output_row(line) : row_of_pair(output_row(line)); }
uint weight_row(uint line, uint n0) { return base + min(n0 + line, count - 1u) * row_bytes; }
