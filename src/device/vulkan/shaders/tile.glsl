// Prompts: 64 activation rows × 64 weight rows per work group, 32 columns at a time through shared memory
// (17 KiB). A thread sums 8 × 4 results.

layout(local_size_x = 128) in;
const uint TILE = 64, DEPTH = 32, STRIDE = TILE + 1;
shared float xs[DEPTH * STRIDE];
shared float ws[DEPTH * STRIDE];

void load(uint k, uint m0, uint n0) {
  const uint t = gl_LocalInvocationID.x;
  [[unroll]] for (uint i = 0; i < 4; ++i) {
    uint at = t + 128u * i, line = at / 8u, k4 = at % 8u * 4u;
    uint m = first_row + min(m0 + line, rows - 1u);
    vec4 x = x4[x_at / 4u + (m * cols + k + k4) / 4u];
    uint n = min(n0 + line, count - 1u), value = k + k4;
    vec4 w = decode4(n * row_bytes + value / VALUES * BYTES, value % VALUES);
    [[unroll]] for (uint j = 0; j < 4; ++j) {
      xs[(k4 + j) * STRIDE + line] = x[j];
      ws[(k4 + j) * STRIDE + line] = w[j];
    }
  }
}

void main() {
  const uint t = gl_LocalInvocationID.x, tn = t % 16u, tm = t / 16u;
  const uint n0 = (gl_WorkGroupID.y + gl_WorkGroupID.z * gl_NumWorkGroups.y) * TILE, m0 = gl_WorkGroupID.x * TILE;
  if (n0 >= count) return;
  float acc[32];
  [[unroll]] for (uint i = 0; i < 32; ++i) acc[i] = 0.0;
  for (uint k = 0; k < cols; k += DEPTH) {
    load(k, m0, n0);
    barrier();
    [[dont_unroll]] for (uint d = 0; d < DEPTH; ++d) {
      float a[8], b[4];
      [[unroll]] for (uint i = 0; i < 8; ++i) a[i] = xs[d * STRIDE + tm + 8u * i];
      [[unroll]] for (uint j = 0; j < 4; ++j) b[j] = ws[d * STRIDE + tn + 16u * j];
      [[unroll]] for (uint i = 0; i < 8; ++i) {
        [[unroll]] for (uint j = 0; j < 4; ++j) acc[i * 4 + j] = fma(a[i], b[j], acc[i * 4 + j]);
      }
    }
    barrier();
  }
  [[unroll]] for (uint i = 0; i < 8; ++i) {
    uint m = m0 + tm + 8u * i;
    if (m >= rows) continue;
    [[unroll]] for (uint j = 0; j < 4; ++j) {
      uint n = n0 + tn + 16u * j;
      if (n >= count) continue;
      uint at = (first_row + m) * y_cols + first + n;
      y[y_at + at] = finished(acc[i * 4 + j], first + n, at);
    }
  }
}
