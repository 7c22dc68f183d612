// Integers: words of four bytes, and a scale per 32 columns of an activation row and per group of a weight row; 6 KiB of
// shared memory. A thread sums 8 × 4 results.
const uint PARTS = DEPTH / GROUP, WORDS = GROUP / 4u;  // groups of the depth, words of a group
shared uint xs[DEPTH / 4u * STRIDE];
shared uint ws[DEPTH / 4u * STRIDE];
shared float x_scales[TILE], x_sums[PARTS * TILE];
shared vec2 w_scales[PARTS * TILE];
float acc[32];

void load(uint k) {
  const uint t = gl_LocalInvocationID.x;
  [[unroll]] for (uint i = 0; i < 4; ++i) {
    uint at = t + 128u * i, line = at / 8u, word = at % 8u, value = k + 4u * word;
    xs[word * STRIDE + line] = x_words[x_at + input_row(line) * row_words() + value / 4u];
    ws[word * STRIDE + line] = levels4(weight_row(line) + value / VALUES * BYTES, value % VALUES);
  }
  if (t < PARTS * TILE) {
    uint line = t % TILE, part = t / TILE, value = k + part * GROUP, x_row = x_at + input_row(line) * row_words();
    w_scales[t] = scales(weight_row(line) + value / VALUES * BYTES, value % VALUES);
    if (part == 0u) x_scales[line] = scale_of(x_row, k);
    if (MINIMA) {
      int sum = 0;
      [[unroll]] for (uint i = 0; i < WORDS / 4u; ++i) sum += sum_of_bytes(x_words4[(x_row + value / 4u) / 4u + i]);
      x_sums[t] = float(sum);
    }
  }
}

void multiply() {
  const uint t = gl_LocalInvocationID.x, tn = t % 16u, tm = t / 16u;
  [[dont_unroll]] for (uint part = 0; part < PARTS; ++part) {
    int sums[32];
    [[unroll]] for (uint i = 0; i < 32; ++i) sums[i] = 0;
    [[dont_unroll]] for (uint word = part * WORDS; word < (part + 1u) * WORDS; ++word) {
      uint a[8], b[4];
      [[unroll]] for (uint i = 0; i < 8; ++i) a[i] = xs[word * STRIDE + tm + 8u * i];
      [[unroll]] for (uint j = 0; j < 4; ++j) b[j] = ws[word * STRIDE + tn + 16u * j];
      [[unroll]] for (uint i = 0; i < 8; ++i) {
        if (EXPERTS != 0u && 8u * i >= here) continue;
        [[unroll]] for (uint j = 0; j < 4; ++j) sums[i * 4 + j] += dot4(a[i], b[j]);
      }
    }
    [[unroll]] for (uint j = 0; j < 4; ++j) {
      const vec2 s = w_scales[part * TILE + tn + 16u * j];
      [[unroll]] for (uint i = 0; i < 8; ++i) {
        float v = s.x * float(sums[i * 4 + j]);
        if (MINIMA) v = fma(-s.y, x_sums[part * TILE + tm + 8u * i], v);
        acc[i * 4 + j] = fma(x_scales[tm + 8u * i], v, acc[i * 4 + j]);
      }
    }
  }
}
