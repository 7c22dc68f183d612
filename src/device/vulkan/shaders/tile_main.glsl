void main() {
  const uint t = gl_LocalInvocationID.x, tn = t % 16u, tm = t / 16u;
  const uint n0 = (gl_WorkGroupID.y + gl_WorkGroupID.z * gl_NumWorkGroups.y) * TILE;
  if (n0 >= count) return;
  m0 = gl_WorkGroupID.x * TILE;
  here = min(rows - min(m0, rows), TILE);
  base = 0u;
  if (EXPERTS != 0u) {
    const uint tiles = route_at + rows, tile = tiles + 1u + 3u * gl_WorkGroupID.x;
    if (gl_WorkGroupID.x >= groups[tiles]) return;
    const uint e = groups[tile];
    if (e < first_expert || e >= first_expert + experts) return;
    m0 = groups[tile + 1u];
    here = groups[tile + 2u];
    base = (e - first_expert) * count * row_bytes;
  }
  [[unroll]] for (uint i = 0; i < 32; ++i) acc[i] = 0.0;
  for (uint k = 0; k < cols; k += DEPTH) {
    load(k, n0);
    barrier();
    multiply();
    barrier();
  }
  [[unroll]] for (uint i = 0; i < 8; ++i) {
    const uint line = tm + 8u * i;
    if (line >= here) continue;
    const uint row = output_row(line);
    [[unroll]] for (uint j = 0; j < 4; ++j) {
      uint n = n0 + tn + 16u * j;
      if (n >= count) continue;
      uint at = row * y_cols + first + n;
      y[y_at + at] = EXPERTS != 0u && (flags & 4u) != 0u ? activate(act, y[y_at + at]) * (acc[i * 4 + j] * scale)
                                                         : finished(acc[i * 4 + j], first + n, at);
    }
  }
}
