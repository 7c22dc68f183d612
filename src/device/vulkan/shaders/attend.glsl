// Attention over pages with a running softmax, or in two passes. A work group takes up to QUERIES queries that share a kv head: rows of a
// block × heads of the group. Keys and values pass through shared memory 64 columns at a time. Shared memory: queries
// (QUERIES · K_SIZE floats, at most 9 KiB), 8.3 KiB of keys or values, 2.3 KiB of scores.
//
// COMPACT is for drivers that compile for the CPU, which need seconds for unrolled loops: the same code, its loops kept and
// its sums in shared memory (9 KiB more) instead of registers.
//
// A row's pages may be cut into chunks (z), whose results attend_join adds up: where they are cut follows from the row
// alone.
layout(local_size_x = 128) in;
layout(constant_id = 0) const uint K_TYPE = 1;
layout(constant_id = 1) const uint V_TYPE = 1;
layout(constant_id = 2) const uint BINDINGS = 1;
layout(constant_id = 3) const uint K_SIZE = 128;
layout(constant_id = 4) const uint V_SIZE = 128;
layout(constant_id = 5) const uint QUERIES = 16;  // 16, 8 or 4
layout(constant_id = 6) const uint TWO_PASS = 0;  // 1: the best scores are found before values are added
layout(binding = 1) readonly buffer Input { float q[]; };
layout(binding = 2) buffer Output { float y[]; };
layout(binding = 3) readonly buffer Sinks { float sinks[]; };
layout(binding = 4) buffer Parts { float parts[]; };  // [row][head][chunk]: best, total, V_SIZE sums
layout(binding = 5) readonly buffer Step { uint steps[]; };
layout(push_constant) uniform Push {
  uint q_at, y_at, q_cols, y_cols;
  uint group, kv_heads, heads_each;  // query heads per kv head; of them together in a work group
  uint flags;                        // 1 causal, 2 sinks
  uint window;
  float scale, soft_cap;
  uint rows_at, table_at, blocks_at; // blocks: first row, rows
  uint layer_page, pages_each;
  uint chunks;                       // 1: the result is written, else parts
  uint sinks_at, parts_at;
  uint first_block;
};
const uint DEPTH = 64, STRIDE = 65;
const uint PAIRS = QUERIES * 32 / 128, PER = QUERIES * DEPTH / 128, STEPS = (V_SIZE + DEPTH - 1) / DEPTH;
shared float qs[QUERIES * K_SIZE];
shared float kv[32 * STRIDE];
shared float s[QUERIES * 33];
shared float best[QUERIES], total[QUERIES], down[QUERIES];
#define NONE uintBitsToFloat(0xff800000u)

// What a work group computes: rows [row0, row0 + rows) and heads [first_head, first_head + heads) of the model.
uint row0, heads, queries, first_head, position;
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
    uint n = t + 128u * i, token = n % 32u, query = n / 32u, seen = first + token, own = position + query / heads;
    float v = sums[i];
    if (soft_cap > 0.0) v = soft_cap * tanh_exact(v / soft_cap);
    bool hidden = token >= tokens || ((flags & 1u) != 0u && seen > own) || (window != 0u && seen + window <= own);
    s[query * 33u + token] = hidden ? NONE : v;
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

// Keys of the head in page p: where they begin in binding b. values: where the page's values do.
uint keys_of(uint page, uint head, out uint b, out uint values) {
  const uint k_row = row_bytes_of(K_TYPE, K_SIZE);
  b = BINDINGS == 1u ? 0u : page / pages_each;
  const uint keys = (page - b * pages_each) * layer_page;
  values = keys + kv_heads * 32u * k_row + head * 32u * row_bytes_of(V_TYPE, V_SIZE);
  return keys + head * 32u * k_row;
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

// One value of a query: a part of a chunked row, or the result.
void put(uint query, uint d, float a) {
  const uint row = row0 + query / heads, h = first_head + query % heads;
  float sum = total[query];
  if (chunks > 1u) {
    uint part = parts_at + ((row * kv_heads * group + h) * 16u + gl_WorkGroupID.z) * (V_SIZE + 2u);
    if (d == 0u) {
      parts[part] = best[query];
      parts[part + 1u] = sum;
    }
    parts[part + 2u + d] = a;
    return;
  }
  if ((flags & 2u) != 0u) {
    float sink = sinks[sinks_at + h], high = max(best[query], sink), f = high == best[query] ? 1.0 : exp(best[query] - high);
    a *= f;
    sum = sum * f + exp(sink - high);
  }
  y[y_at + row * y_cols + h * V_SIZE + d] = a / sum;
}

void main() {
  const uint t = gl_LocalInvocationID.x, block = blocks_at + 2u * (first_block + gl_WorkGroupID.x);
  row0 = steps[block];
  const uint rows = steps[block + 1u], parts_of_group = (group + heads_each - 1u) / heads_each;
  const uint head = gl_WorkGroupID.y / parts_of_group, g0 = gl_WorkGroupID.y % parts_of_group * heads_each;
  heads = min(heads_each, group - g0);
  queries = rows * heads;
  first_head = head * group + g0;
  position = steps[rows_at + 3u * row0];
  const uint table = table_at + steps[rows_at + 3u * row0 + 1u];
  const uint end = (flags & 1u) != 0u ? position + rows : steps[rows_at + 3u * row0 + 2u];
  const uint begin = window != 0u && position + 1u > window ? position + 1u - window : 0u;
  uint p0 = begin / 32u, p1 = (end + 31u) / 32u;
  if (chunks > 1u) {
    uint each = max(4u, (p1 - p0 + 15u) / 16u);
    p0 += each * gl_WorkGroupID.z;
    p1 = min(p1, p0 + each);
    if (p0 >= p1) return;
  }
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
      const uint keys = keys_of(steps[table + p], head, b, values);
      score(b, keys, p * 32u, min(32u, end - p * 32u));
      find_best();
    }
  }
  for (uint p = p0; p < p1; ++p) {
    const uint tokens = min(32u, end - p * 32u), keys = keys_of(steps[table + p], head, b, values);
    score(b, keys, p * 32u, tokens);
    soften();
    add_values(b, values, tokens);
  }
  barrier();
  FLAT for (uint step = 0; step < STEPS; ++step) {
    FLAT for (uint i = 0; i < PER; ++i) {
      uint n = t + 128u * i, d = step * DEPTH + n % DEPTH, query = n / DEPTH;
      if (query < queries && d < V_SIZE) put(query, d, ACC(step * PER + i));
    }
  }
}
