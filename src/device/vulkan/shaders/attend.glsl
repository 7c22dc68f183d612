// Attention over pages with a running softmax, or in two passes. Keys and values pass through shared memory 64 columns at a
// time. Shared memory: queries (QUERIES · K_SIZE floats, at most 9 KiB), 8.3 KiB of keys or values, 2.3 KiB of scores.
//
// COMPACT is for drivers that compile for the CPU, which need seconds for unrolled loops: the same code, its loops kept and
// its sums in shared memory (9 KiB more) instead of registers.
layout(constant_id = 5) const uint QUERIES = 16;  // 16, 8 or 4
layout(constant_id = 6) const uint TWO_PASS = 0;  // 1: the best scores are found before values are added
const uint DEPTH = 64, STRIDE = 65;
const uint PAIRS = QUERIES * 32 / 128, PER = QUERIES * DEPTH / 128, STEPS = (V_SIZE + DEPTH - 1) / DEPTH;
shared float qs[QUERIES * K_SIZE];
shared float kv[32 * STRIDE];
shared float s[QUERIES * 33];
shared float best[QUERIES], total[QUERIES], down[QUERIES];
#ifdef COMPACT
#define FLAT [[dont_unroll]]
#define ACC(i) acc[(i) * 128u + gl_LocalInvocationID.x]
shared float acc[STEPS * PER * 128];
#else
#define FLAT [[unroll]]
#define ACC(i) acc[i]
float acc[STEPS * PER];
#endif

void load(uint type, uint b, uint at, uint row, uint d0, uint size, uint tokens) {
  FLAT for (uint i = 0; i < 4; ++i) {
    uint n = gl_LocalInvocationID.x + 128u * i, token = n / 16u, d = n % 16u * 4u;
    vec4 v = vec4(0.0);
    if (token < tokens && d0 + d < size) v = cached4(type, b, at + token * row, d0 + d);
    [[unroll]] for (uint j = 0; j < 4; ++j) kv[token * STRIDE + d + j] = v[j];
  }
}

// Scores of a page into s, hidden ones as NONE. keys: byte where the head's keys begin.
void score(uint b, uint keys, uint first, uint tokens) {
  const uint t = gl_LocalInvocationID.x, k_row = row_bytes_of(K_TYPE, K_SIZE);
  float sums[PAIRS];
  [[unroll]] for (uint i = 0; i < PAIRS; ++i) sums[i] = 0.0;
  [[dont_unroll]] for (uint d0 = 0; d0 < K_SIZE; d0 += DEPTH) {
    barrier();
    load(K_TYPE, b, keys, k_row, d0, K_SIZE, tokens);
    barrier();
    const uint width = min(DEPTH, K_SIZE - d0);
    [[unroll]] for (uint i = 0; i < PAIRS; ++i) {
      uint n = t + 128u * i, token = n % 32u, query = n / 32u;
      if (query < queries) {
        [[dont_unroll]] for (uint d = 0; d < width; ++d)
          sums[i] = fma(qs[query * K_SIZE + d0 + d], kv[token * STRIDE + d], sums[i]);
      }
    }
  }
  [[unroll]] for (uint i = 0; i < PAIRS; ++i) {
    uint n = t + 128u * i, token = n % 32u, query = n / 32u;
    s[query * 33u + token] = seen_score(sums[i], query, first + token);
  }
  barrier();
}

// Scores → weights relative to the best so far; `down` is what earlier sums are scaled with.
void soften() {
  const uint t = gl_LocalInvocationID.x;
  if (t >= queries) return;
  float high = best[t];
  [[dont_unroll]] for (uint i = 0; i < 32u; ++i) high = max(high, s[t * 33u + i]);
  float f = best[t] == high ? 1.0 : (best[t] == NONE ? 0.0 : exp(best[t] - high)), sum = 0.0;
  [[dont_unroll]] for (uint i = 0; i < 32u; ++i) {
    float v = s[t * 33u + i];
    v = v == NONE ? 0.0 : exp(v - high);
    s[t * 33u + i] = v;
    sum += v;
  }
  best[t] = high;
  down[t] = f;
  total[t] = total[t] * f + sum;
}

// The best of a page's scores, for the first of two passes.
void find_best() {
  const uint t = gl_LocalInvocationID.x;
  if (t >= queries) return;
  [[dont_unroll]] for (uint i = 0; i < 32u; ++i) best[t] = max(best[t], s[t * 33u + i]);
}

// acc += weights · values. values: byte where the head's values begin.
void add_values(uint b, uint values, uint tokens) {
  const uint t = gl_LocalInvocationID.x, v_row = row_bytes_of(V_TYPE, V_SIZE);
  FLAT for (uint step = 0; step < STEPS; ++step) {
    barrier();
    load(V_TYPE, b, values, v_row, step * DEPTH, V_SIZE, tokens);
    barrier();
    FLAT for (uint i = 0; i < PER; ++i) {
      uint n = t + 128u * i, d = n % DEPTH, query = n / DEPTH;
      if (query < queries) {
        float a = ACC(step * PER + i) * down[query];
        [[dont_unroll]] for (uint token = 0; token < 32u; token += 4u) {
          [[unroll]] for (uint j = 0; j < 4u; ++j)
            a = fma(s[query * 33u + token + j], kv[(token + j) * STRIDE + d], a);
        }
        ACC(step * PER + i) = a;
      }
    }
  }
}

void main() {
  const uint t = gl_LocalInvocationID.x;
  if (!find_work()) return;
  for (uint i = t; i < queries * K_SIZE; i += 128u) {
    uint n = i / K_SIZE;
    qs[i] = q[q_at + (row0 + n / heads) * q_cols + (first_head + n % heads) * K_SIZE + i % K_SIZE] * scale;
  }
  if (t < QUERIES) {
    best[t] = NONE;
    total[t] = 0.0;
  }
  FLAT for (uint i = 0; i < STEPS * PER; ++i) ACC(i) = 0.0;
  uint b, values;
  if (TWO_PASS != 0u) {
    for (uint p = p0; p < p1; ++p) {
      const uint keys = keys_of(steps[table + p], b, values);
      score(b, keys, p * 32u, min(32u, end - p * 32u));
      find_best();
    }
  }
  for (uint p = p0; p < p1; ++p) {
    const uint tokens = min(32u, end - p * 32u), keys = keys_of(steps[table + p], b, values);
    score(b, keys, p * 32u, tokens);
    soften();
    add_values(b, values, tokens);
  }
  barrier();
  FLAT for (uint step = 0; step < STEPS; ++step) {
    FLAT for (uint i = 0; i < PER; ++i) {
      uint n = t + 128u * i, d = step * DEPTH + n % DEPTH, query = n / DEPTH;
      if (query < queries && d < V_SIZE) put(query, d, ACC(step * PER + i), best[query], total[query]);
    }
  }
}
