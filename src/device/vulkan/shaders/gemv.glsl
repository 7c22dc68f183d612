// Generation: each weight is read once for up to COLS activation rows. A row's sum has one order (thread by thread,
// then the tree), fused multiply-adds are written out and nothing else may be fused: results do not depend on COLS.
//
// GATED: of one row of activations, rows of the gate and the same rows of the matrix that is multiplied with it, which begins
// `second` bytes behind the gate. The results are those of two products one after the other, to the bit.

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint THREADS = 64;
layout(constant_id = 1) const uint COLS = 1;
layout(constant_id = 2) const uint EXPERTS = 0;
const uint OUTS = 2;  // results per work group and activation row
#ifdef GATED
const uint ROWS = 2 * OUTS;  // weight rows per work group: those of the gate first
#else
const uint ROWS = OUTS;
#endif

#ifdef SUBGROUP
shared float part[ROWS * COLS * 64];
#else
shared float part[ROWS * COLS * THREADS];
#endif

// Of up to four columns; arrays whose size is a constant of the pipeline confuse the optimiser.
float acc[8];
uint x_row[4];  // where the activation rows begin

// Where weight row r of the work group begins.
uint w_row(uint base, uint r0, uint r) {
#ifdef GATED
  base += r / OUTS * second;
#endif
  return base + min(r0 + r % OUTS, count - 1u) * row_bytes;
}

// sum() adds the products of a thread to acc.
#ifdef INTEGER
uint x_begin(uint row) { return x_at + row * row_words(); }

// 32 values per turn, sixteen each from two places of a block: a group shares its scale.
void sum(uint base, uint r0) {
  const uint pieces = cols / 32u, run = max(GAP, 16u);
  for (uint q = gl_LocalInvocationID.x; q < pieces; q += THREADS) {
    uint block = q / (VALUES / 32u), p = q % (VALUES / 32u), e0 = p * 16u / run * (2u * run) + p * 16u % run;
    [[unroll]] for (uint part_of = 0; part_of < 2u; ++part_of) {
      const uint e = e0 + part_of * run, column = block * VALUES + e;
      uvec4 w[ROWS];
      vec2 s[ROWS];
      [[unroll]] for (uint r = 0; r < ROWS; ++r) {
        uint at = w_row(base, r0, r) + block * BYTES;
        w[r] = levels16(at, e);
        s[r] = scales(at, e);
      }
      [[unroll]] for (uint c = 0; c < COLS; ++c) {
        const uvec4 x = x_words4[(x_row[c] + column / 4u) / 4u];
        const float d = scale_of(x_row[c], column);
        const float total = MINIMA ? float(sum_of_bytes(x)) : 0.0;
        [[unroll]] for (uint r = 0; r < ROWS; ++r) {
          int i = dot4(w[r].x, x.x) + dot4(w[r].y, x.y) + dot4(w[r].z, x.z) + dot4(w[r].w, x.w);
          precise float v = s[r].x * float(i);
          if (MINIMA) v = fma(-s[r].y, total, v);
          acc[r * COLS + c] = fma(d, v, acc[r * COLS + c]);
        }
      }
    }
  }
}
#else
uint x_begin(uint row) { return x_at / 4u + row * (cols / 4u); }

void sum(uint base, uint r0) {
  const uint pieces = cols / 8u;
  for (uint q = gl_LocalInvocationID.x; q < pieces; q += THREADS) {
    uint block = q / (VALUES / 8u), p = q % (VALUES / 8u);
    uint e = p * 4u / GAP * (2u * GAP) + p * 4u % GAP;
    uint xe = (block * VALUES + e) / 4u;
    vec4 low[ROWS], high[ROWS];
    [[unroll]] for (uint r = 0; r < ROWS; ++r) {
      uint at = w_row(base, r0, r) + block * BYTES;
      low[r] = decode4(at, e);
      high[r] = decode4(at, e + GAP);
    }
    [[unroll]] for (uint c = 0; c < COLS; ++c) {
      vec4 a = x4[x_row[c] + xe], b = x4[x_row[c] + xe + GAP / 4u];
      [[unroll]] for (uint r = 0; r < ROWS; ++r) {
        precise float s = acc[r * COLS + c];
        s = fma(low[r].x, a.x, s);
        s = fma(low[r].y, a.y, s);
        s = fma(low[r].z, a.z, s);
        s = fma(low[r].w, a.w, s);
        s = fma(high[r].x, b.x, s);
        s = fma(high[r].y, b.y, s);
        s = fma(high[r].z, b.z, s);
        s = fma(high[r].w, b.w, s);
        acc[r * COLS + c] = s;
      }
    }
  }
}
#endif

// Sum i of the work group, after the barrier.
float total(uint i) {
#ifdef SUBGROUP
  float s = part[i * 64u];
  for (uint n = 1; n < gl_NumSubgroups; ++n) s += part[i * 64u + n];
  return s;
#else
  return part[i * THREADS];
#endif
}

void main() {
  const uint t = gl_LocalInvocationID.x;
  // Neighbours in x share their weights.
  const uint r0 = (gl_WorkGroupID.y + gl_WorkGroupID.z * gl_NumWorkGroups.y) * OUTS;
  const uint c0 = gl_WorkGroupID.x * COLS;  // relative to first_row
  if (r0 >= count) return;
  uint base = 0;
  if (EXPERTS != 0) {
    uint pair = first_row + c0, row = row_base + pair / used;
    uint e = uint(other[route_at + row * 2u * used + pair % used]);
    if (e < first_expert || e >= first_expert + experts) return;
    base = (e - first_expert) * count * row_bytes;
  }
  [[unroll]] for (uint c = 0; c < COLS; ++c) {
    uint n = first_row + min(c0 + c, rows - 1u);
    x_row[c] = x_begin(EXPERTS != 0 ? row_of_pair(n) : n);
  }
  [[unroll]] for (uint i = 0; i < ROWS * COLS; ++i) acc[i] = 0.0;
  sum(base, r0);
#ifdef SUBGROUP
  [[unroll]] for (uint i = 0; i < ROWS * COLS; ++i) {
    float s = subgroupAdd(acc[i]);
    if (gl_SubgroupInvocationID == 0u) part[i * 64u + gl_SubgroupID] = s;
  }
  barrier();
#else
  [[unroll]] for (uint i = 0; i < ROWS * COLS; ++i) part[i * THREADS + t] = acc[i];
  for (uint s = THREADS / 2u; s > 0u; s >>= 1) {
    barrier();
    if (t < s) {
      [[unroll]] for (uint i = 0; i < ROWS * COLS; ++i) part[i * THREADS + t] += part[i * THREADS + t + s];
    }
  }
  barrier();
#endif
  if (t >= OUTS * COLS) return;
  const uint r = r0 + t / COLS, c = c0 + t % COLS;
  if (r >= count || c >= rows) return;
  const uint at = (first_row + c) * y_cols + first + r;
#ifdef GATED
  precise float gate = total(t) * gate_scale, up = total(OUTS + t) * scale;
  y[y_at + at] = activate(act, gate) * up;
#else
  const float s = total(t);
  y[y_at + at] = EXPERTS != 0 && (flags & 4u) != 0u ? activate(act, y[y_at + at]) * (s * scale)
                                                    : finished(s, first + r, at);
#endif
}
