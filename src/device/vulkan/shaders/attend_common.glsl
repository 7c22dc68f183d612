// What the kernels of attention share. A work group takes queries that share a kv head: rows of a block × heads of the group.
// A row's pages may be cut into chunks (z), whose results attend_join adds up: where they are cut follows from the row alone.
layout(local_size_x = 128) in;
layout(constant_id = 0) const uint K_TYPE = 1;
layout(constant_id = 1) const uint V_TYPE = 1;
layout(constant_id = 2) const uint BINDINGS = 1;
layout(constant_id = 3) const uint K_SIZE = 128;
layout(constant_id = 4) const uint V_SIZE = 128;
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
#define NONE uintBitsToFloat(0xff800000u)

// What a work group computes: rows [row0, row0 + queries / heads) and heads [first_head, first_head + heads) of the model,
// of kv head `head`, and pages [p0, p1) of the table that begins at word `table`. The row's sequence has `end` tokens.
uint row0, heads, queries, first_head, head, position, table, end, p0, p1;

// False where there is nothing to compute.
bool find_work() {
  const uint block = blocks_at + 2u * (first_block + gl_WorkGroupID.x), parts_of_group = (group + heads_each - 1u) / heads_each;
  row0 = steps[block];
  const uint rows = steps[block + 1u], g0 = gl_WorkGroupID.y % parts_of_group * heads_each;
  head = gl_WorkGroupID.y / parts_of_group;
  heads = min(heads_each, group - g0);
  queries = rows * heads;
  first_head = head * group + g0;
  position = steps[rows_at + 3u * row0];
  table = table_at + steps[rows_at + 3u * row0 + 1u];
  end = (flags & 1u) != 0u ? position + rows : steps[rows_at + 3u * row0 + 2u];
  const uint begin = window != 0u && position + 1u > window ? position + 1u - window : 0u;
  p0 = begin / 32u;
  p1 = (end + 31u) / 32u;
  if (chunks > 1u) {
    uint each = max(4u, (p1 - p0 + 15u) / 16u);
    p0 += each * gl_WorkGroupID.z;
    p1 = min(p1, p0 + each);
  }
  return p0 < p1 || chunks == 1u;
}

// Of a query's token: the capped score, or NONE if the query does not see it.
float seen_score(float v, uint query, uint token) {
  if (soft_cap > 0.0) v = soft_cap * tanh_exact(v / soft_cap);
  const uint own = position + query / heads;
  return token >= end || ((flags & 1u) != 0u && token > own) || (window != 0u && token + window <= own) ? NONE : v;
}

// Keys of the head in page p: where they begin in binding b. values: where the page's values do.
uint keys_of(uint page, out uint b, out uint values) {
  const uint k_row = row_bytes_of(K_TYPE, K_SIZE);
  b = BINDINGS == 1u ? 0u : page / pages_each;
  const uint keys = (page - b * pages_each) * layer_page;
  values = keys + kv_heads * 32u * k_row + head * 32u * row_bytes_of(V_TYPE, V_SIZE);
  return keys + head * 32u * k_row;
}

// One value of a query: a part of a chunked row, or the result.
void put(uint query, uint d, float a, float best, float sum) {
  const uint row = row0 + query / heads, h = first_head + query % heads;
  if (chunks > 1u) {
    uint part = parts_at + ((row * kv_heads * group + h) * 16u + gl_WorkGroupID.z) * (V_SIZE + 2u);
    if (d == 0u) {
      parts[part] = best;
      parts[part + 1u] = sum;
    }
    parts[part + 2u + d] = a;
    return;
  }
  if ((flags & 2u) != 0u) {
    float sink = sinks[sinks_at + h], high = max(best, sink), f = high == best ? 1.0 : exp(best - high);
    a *= f;
    sum = sum * f + exp(sink - high);
  }
  y[y_at + row * y_cols + h * V_SIZE + d] = a / sum;
}
