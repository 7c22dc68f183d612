// Prompts: 64 activation rows × 64 weight rows per work group, 32 columns at a time through shared memory.
// tile_float.glsl, tile_integer.glsl and tile_matrix.glsl say what passes through shared memory and how it is multiplied.
//
// EXPERTS: the activation rows are pairs of a row and one of its experts, put together by expert (group.glsl); a tile is of
// one expert, and the part of it that no pair fills is not computed.
layout(local_size_x = 128) in;
layout(constant_id = 0) const uint EXPERTS = 0;
const uint TILE = 64, DEPTH = 32, STRIDE = TILE + 1;
// First line of the tile in its list, lines, byte where the matrix begins, first weight row.
uint m0, here, base, n0;

// The row, or pair, of a line of the tile; lines that are not there repeat the last one.
uint output_row(uint line) {
  const uint m = m0 + min(line, here - 1u);
  return EXPERTS == 0u ? first_row + m : groups[route_at + m];
}
uint input_row(uint line) { return EXPERTS == 0u ? output_row(line) : row_of_pair(output_row(line)); }
uint weight_row(uint line) { return base + min(n0 + line, count - 1u) * row_bytes; }

// The tile of this work group; false where there is none.
bool find_tile() {
  n0 = (gl_WorkGroupID.y + gl_WorkGroupID.z * gl_NumWorkGroups.y) * TILE;
  if (n0 >= count) return false;
  m0 = gl_WorkGroupID.x * TILE;
  here = min(rows - min(m0, rows), TILE);
  base = 0u;
  if (EXPERTS != 0u) {
    const uint tiles = route_at + rows, tile = tiles + 1u + 3u * gl_WorkGroupID.x;
    if (gl_WorkGroupID.x >= groups[tiles]) return false;
    const uint e = groups[tile];
    if (e < first_expert || e >= first_expert + experts) return false;
    m0 = groups[tile + 1u];
    here = groups[tile + 2u];
    base = (e - first_expert) * count * row_bytes;
  }
  return true;
}

// Writes one result, where line and column are there.
void put(uint line, uint column, float sum) {
  const uint n = n0 + column;
  if (line >= here || n >= count) return;
  const uint at = output_row(line) * y_cols + first + n;
  y[y_at + at] = EXPERTS != 0u && (flags & 4u) != 0u ? activate(act, y[y_at + at]) * (sum * scale)
                                                     : finished(sum, first + n, at);
}
