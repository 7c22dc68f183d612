void main() {
  const uint t = gl_LocalInvocationID.x, tn = t % 16u, tm = t / 16u;
  if (!find_tile()) return;
  [[unroll]] for (uint i = 0; i < 32; ++i) acc[i] = 0.0;
  for (uint k = 0; k < cols; k += DEPTH) {
    load(k);
    barrier();
    multiply();
    barrier();
  }
  [[unroll]] for (uint i = 0; i < 8; ++i) {
    [[unroll]] for (uint j = 0; j < 4; ++j) put(tm + 8u * i, tn + 16u * j, acc[i * 4 + j]);
  }
}
