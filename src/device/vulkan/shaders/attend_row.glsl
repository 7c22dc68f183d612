// Attention of rows that continue a sequence, a row per work group, with a running softmax. Subgroups share out the tokens of
// a page for its keys, threads the columns and tokens of its values; both are asked for before either is used, so that a page
// costs one wait for memory. Shared memory: queries (HEADS · K_SIZE floats, at most 16 KiB), 2 KiB of scores, 2 KiB.
layout(constant_id = 5) const uint HEADS = 4;      // of a work group at most: 1 to 16
layout(constant_id = 6) const uint SUBGROUP_SIZE = 32;  // 8 to 64
const uint SUBGROUPS = 128u / SUBGROUP_SIZE, K_TOKENS = 32u / SUBGROUPS;
const uint K_QUADS = (K_SIZE / 4u + SUBGROUP_SIZE - 1u) / SUBGROUP_SIZE;          // of a thread and token
const uint V_LANES = V_SIZE / 4u, V_GROUPS = 128u / V_LANES;                      // threads of a token; tokens at a time
const uint V_TOKENS = (32u + V_GROUPS - 1u) / V_GROUPS, OF_LANE = (32u + SUBGROUP_SIZE - 1u) / SUBGROUP_SIZE;
shared vec4 qs[HEADS * K_SIZE / 4u];
shared float s[HEADS * 33u];
shared float best[HEADS], total[HEADS], down[HEADS];
shared vec4 sums[128];
vec4 k[16], v[16], acc[16];  // K_TOKENS · K_QUADS, V_TOKENS and HEADS of them are used

void ask_for(uint page, uint tokens, uint lane) {
  uint b, values;
  const uint keys = keys_of(page, b, values), t = gl_LocalInvocationID.x;
  [[unroll]] for (uint i = 0; i < K_TOKENS; ++i) {
    const uint token = gl_SubgroupID + i * SUBGROUPS;
    [[unroll]] for (uint j = 0; j < K_QUADS; ++j) {
      const uint d = 4u * (lane + j * SUBGROUP_SIZE);
      k[i * K_QUADS + j] = vec4(0.0);
      if (token < tokens && d < K_SIZE) k[i * K_QUADS + j] = cached4(K_TYPE, b, keys + token * row_bytes_of(K_TYPE, K_SIZE), d);
    }
  }
  [[unroll]] for (uint i = 0; i < V_TOKENS; ++i) {
    const uint token = t / V_LANES + i * V_GROUPS;
    v[i] = vec4(0.0);
    if (t < V_GROUPS * V_LANES && token < tokens)
      v[i] = cached4(V_TYPE, b, values + token * row_bytes_of(V_TYPE, V_SIZE), t % V_LANES * 4u);
  }
}

void score(uint first, uint lane) {
  [[unroll]] for (uint i = 0; i < K_TOKENS; ++i) {
    const uint token = gl_SubgroupID + i * SUBGROUPS;
    [[unroll]] for (uint h = 0; h < HEADS; ++h) {
      float sum = 0.0;
      [[unroll]] for (uint j = 0; j < K_QUADS; ++j) {
        const uint quad = lane + j * SUBGROUP_SIZE;
        if (quad < K_SIZE / 4u) sum += dot(k[i * K_QUADS + j], qs[h * K_SIZE / 4u + quad]);
      }
      sum = subgroupAdd(sum);
      if (lane == 0u) s[h * 33u + token] = seen_score(sum, h, first + token);
    }
  }
}

// Scores → weights relative to the best so far; `down` is what earlier sums are scaled with. A subgroup takes a head.
void soften(uint lane) {
  for (uint h = gl_SubgroupID; h < heads; h += SUBGROUPS) {
    const float before = best[h];
    float high = before;
    [[unroll]] for (uint i = 0; i < OF_LANE; ++i) {
      const uint token = lane + i * SUBGROUP_SIZE;
      if (token < 32u) high = max(high, s[h * 33u + token]);
    }
    high = subgroupMax(high);
    float sum = 0.0;
    [[unroll]] for (uint i = 0; i < OF_LANE; ++i) {
      const uint token = lane + i * SUBGROUP_SIZE;
      if (token >= 32u) continue;
      const float score_of = s[h * 33u + token], weight = score_of == NONE ? 0.0 : exp(score_of - high);
      s[h * 33u + token] = weight;
      sum += weight;
    }
    sum = subgroupAdd(sum);
    if (lane != 0u) continue;
    const float f = before == high ? 1.0 : (before == NONE ? 0.0 : exp(before - high));
    best[h] = high;
    down[h] = f;
    total[h] = total[h] * f + sum;
  }
}

void add_values() {
  const uint first = gl_LocalInvocationID.x / V_LANES;
  [[unroll]] for (uint h = 0; h < HEADS; ++h) {
    vec4 a = acc[h] * down[h];
    [[unroll]] for (uint i = 0; i < V_TOKENS; ++i) a += s[h * 33u + min(first + i * V_GROUPS, 31u)] * v[i];
    acc[h] = a;
  }
}

void main() {
  const uint t = gl_LocalInvocationID.x, lane = gl_SubgroupInvocationID;
  if (!find_work()) return;
  [[dont_unroll]] for (uint i = t; i < HEADS * K_SIZE / 4u; i += 128u) {
    const uint h = min(i / (K_SIZE / 4u), heads - 1u), at = q_at + row0 * q_cols + (first_head + h) * K_SIZE + i % (K_SIZE / 4u) * 4u;
    qs[i] = scale * vec4(q[at], q[at + 1u], q[at + 2u], q[at + 3u]);
  }
  if (t < HEADS) {
    best[t] = NONE;
    total[t] = 0.0;
    down[t] = 1.0;
  }
  [[unroll]] for (uint h = 0; h < HEADS; ++h) acc[h] = vec4(0.0);
  [[dont_unroll]] for (uint p = p0; p < p1; ++p) {
    ask_for(steps[table + p], min(32u, end - p * 32u), lane);
    barrier();
    score(p * 32u, lane);
    barrier();
    soften(lane);
    barrier();
    add_values();
  }
  [[unroll]] for (uint h = 0; h < HEADS; ++h) {
    barrier();
    sums[t] = acc[h];
    barrier();
    if (t >= V_LANES || h >= heads) continue;
    vec4 a = sums[t];
    [[dont_unroll]] for (uint i = 1; i < V_GROUPS; ++i) a += sums[t + i * V_LANES];
    [[unroll]] for (uint j = 0; j < 4u; ++j) put(h, 4u * t + j, a[j], best[h], total[h]);
  }
}
