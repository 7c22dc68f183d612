// Floats: 17 KiB of shared memory. A thread sums 8 × 4 results.
shared float xs[DEPTH * STRIDE];
shared float ws[DEPTH * STRIDE];
float acc[32];

void load(uint k) {
  const uint t = gl_LocalInvocationID.x;
  [[unroll]] for (uint i = 0; i < 4; ++i) {
    uint at = t + 128u * i, line = at / 8u, k4 = at % 8u * 4u, value = k + k4;
    vec4 x = x4[x_at / 4u + (input_row(line) * cols + value) / 4u];
    vec4 w = decode4(weight_row(line) + value / VALUES * BYTES, value % VALUES);
    [[unroll]] for (uint j = 0; j < 4; ++j) {
      xs[(k4 + j) * STRIDE + line] = x[j];
      ws[(k4 + j) * STRIDE + line] = w[j];
    }
  }
}

void multiply() {
  const uint t = gl_LocalInvocationID.x, tn = t % 16u, tm = t / 16u;
  [[dont_unroll]] for (uint d = 0; d < DEPTH; ++d) {
    float a[8], b[4];
    [[unroll]] for (uint i = 0; i < 8; ++i) a[i] = xs[d * STRIDE + tm + 8u * i];
    [[unroll]] for (uint j = 0; j < 4; ++j) b[j] = ws[d * STRIDE + tn + 16u * j];
    [[unroll]] for (uint i = 0; i < 8; ++i) {
      if (EXPERTS != 0u && 8u * i >= here) continue;
      [[unroll]] for (uint j = 0; j < 4; ++j) acc[i * 4 + j] = fma(a[i], b[j], acc[i * 4 + j]);
    }
  }
}
