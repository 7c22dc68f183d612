// Halves, multiplied by cooperative matrices and summed in floats; 27 KiB of shared memory. The host chooses the size M × N ×
// K among the driver's, and how the subgroups divide the tile (matrices.h).
layout(constant_id = 1) const uint M = 16;
layout(constant_id = 2) const uint N = 16;
layout(constant_id = 3) const uint K = 16;
layout(constant_id = 4) const uint GRID_M = 2;
layout(constant_id = 5) const uint GRID_N = 2;
const uint BLOCKS_M = TILE / M / GRID_M, BLOCKS_N = TILE / N / GRID_N;  // of a subgroup
// From line to line in shared memory: a multiple of 16 bytes, as loads and stores need it.
const uint HALVES = DEPTH + 8, SUMS = TILE + 4;
// Weights are small: what they are multiplied with makes those from 2^-20 up normal halves, and leaves those up to 1023 finite.
const float WEIGHTS_BY = 64.0, LARGEST_HALF = 65504.0;
shared float16_t xs[TILE * HALVES];
shared float16_t ws[TILE * HALVES];
shared float sums[TILE * SUMS];
shared uint beyond;  // not 0: the tile has a weight that no half holds

void load(uint k) {
  const uint t = gl_LocalInvocationID.x;
  [[unroll]] for (uint i = 0; i < 4; ++i) {
    const uint at = t + 128u * i, line = at / 8u, k4 = at % 8u * 4u, value = k + k4, to = line * HALVES + k4;
    const uvec2 x = x_words2[(x_at + input_row(line) * row_words() + value / 2u) / 2u];
    const f16vec2 low = unpackFloat2x16(x.x), high = unpackFloat2x16(x.y);
    const vec4 w = WEIGHTS_BY * decode4(weight_row(line) + value / VALUES * BYTES, value % VALUES);
    if (any(greaterThan(abs(w), vec4(LARGEST_HALF)))) atomicOr(beyond, 1u);
    xs[to] = low.x;
    xs[to + 1u] = low.y;
    xs[to + 2u] = high.x;
    xs[to + 3u] = high.y;
    [[unroll]] for (uint j = 0; j < 4; ++j) ws[to + j] = float16_t(w[j]);
  }
}

// One result in floats, for tiles with weights that no half holds.
float sum_of(uint line, uint column) {
  const uint x_row = x_at + input_row(line) * row_words(), w_row = weight_row(column);
  float sum = 0.0;
  [[dont_unroll]] for (uint k = 0; k < cols; k += 4u) {
    const uvec2 x = x_words2[(x_row + k / 2u) / 2u];
    sum += dot(vec4(unpackHalf2x16(x.x), unpackHalf2x16(x.y)), decode4(w_row + k / VALUES * BYTES, k % VALUES));
  }
  return sum;
}

void main() {
  const uint t = gl_LocalInvocationID.x;
  if (!find_tile()) return;
  if (t == 0u) beyond = 0u;
  barrier();
  const uint sm = gl_SubgroupID / GRID_N * BLOCKS_M * M, sn = gl_SubgroupID % GRID_N * BLOCKS_N * N;
  fcoopmatNV<32, gl_ScopeSubgroup, M, N> acc[BLOCKS_M * BLOCKS_N];
  [[unroll]] for (uint i = 0; i < BLOCKS_M * BLOCKS_N; ++i) acc[i] = fcoopmatNV<32, gl_ScopeSubgroup, M, N>(0.0);
  [[dont_unroll]] for (uint k = 0; k < cols; k += DEPTH) {
    load(k);
    barrier();
    [[unroll]] for (uint d = 0; d < DEPTH; d += K) {
      fcoopmatNV<16, gl_ScopeSubgroup, K, N> b[BLOCKS_N];
      [[unroll]] for (uint j = 0; j < BLOCKS_N; ++j) coopMatLoadNV(b[j], ws, (sn + j * N) * HALVES + d, HALVES, true);
      [[unroll]] for (uint i = 0; i < BLOCKS_M; ++i) {
        if (sm + i * M >= here) continue;
        fcoopmatNV<16, gl_ScopeSubgroup, M, K> a;
        coopMatLoadNV(a, xs, (sm + i * M) * HALVES + d, HALVES, false);
        [[unroll]] for (uint j = 0; j < BLOCKS_N; ++j)
          acc[i * BLOCKS_N + j] = coopMatMulAddNV(a, b[j], acc[i * BLOCKS_N + j]);
      }
    }
    barrier();
  }
  [[unroll]] for (uint i = 0; i < BLOCKS_M; ++i) {
    [[unroll]] for (uint j = 0; j < BLOCKS_N; ++j)
      coopMatStoreNV(acc[i * BLOCKS_N + j], sums, (sm + i * M) * SUMS + sn + j * N, SUMS, false);
  }
  barrier();
  float by = 1.0 / WEIGHTS_BY;
  if (beyond != 0u) {
    [[dont_unroll]] for (uint i = t; i < TILE * TILE; i += 128u) sums[i / TILE * SUMS + i % TILE] = sum_of(i / TILE, i % TILE);
    by = 1.0;
  }
  // A thread reads what it wrote, or what was there before the barrier.
  [[dont_unroll]] for (uint i = t; i < TILE * TILE; i += 128u) {
    const uint line = i / TILE, column = i % TILE;
    put(line, column, by * scale_of(x_at + input_row(line) * row_words()) * sums[line * SUMS + column]);
  }
}
