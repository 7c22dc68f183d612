// Qkv's second half, one work group per row and head: norm, rotation, and the way into the cache.
layout(local_size_x = 64) in;
layout(binding = 1) readonly buffer Input { float kv[]; };  // keys and values as the products left them
layout(binding = 2) buffer Queries { float q[]; };
layout(binding = 3) readonly buffer QGain { float q_gain[]; };
layout(binding = 4) readonly buffer KGain { float k_gain[]; };
layout(binding = 5) readonly buffer Step { uint steps[]; };
layout(constant_id = 0) const uint K_TYPE = 1;
layout(constant_id = 1) const uint V_TYPE = 1;
layout(constant_id = 2) const uint BINDINGS = 1;
layout(push_constant) uniform Push {
  uint q_heads, kv_heads, k_size, v_size;
  uint q_at, k_at, v_at, q_cols;
  uint q_gain_at, k_gain_at;
  uint flags;             // 1 q gain, 2 k gain, 4 rotate in halves
  float eps;
  uint pairs, rope_at;    // rope table of the step: cosines, then sines of each row
  uint rows_at;           // [row]: position, first word of its page table, end
  uint table_at;          // of this group's page tables
  uint layer_page;        // bytes of a page of the layer
  uint pages_each;        // pages per binding
  uint first_row;
};
shared float x[576];
shared float part[64];

void norm(uint size, bool of_key) {
  const uint t = gl_LocalInvocationID.x;
  float squares = 0.0;
  for (uint i = t; i < size; i += 64u) squares += x[i] * x[i];
  part[t] = squares;
  for (uint s = 32u; s > 0u; s >>= 1) {
    barrier();
    if (t < s) part[t] += part[t + s];
  }
  barrier();
  float factor = 1.0 / sqrt(part[0] / float(size) + eps);
  for (uint i = t; i < size; i += 64u) x[i] = x[i] * factor * (of_key ? k_gain[k_gain_at + i] : q_gain[q_gain_at + i]);
  barrier();
}

void rotate(uint row) {
  for (uint i = gl_LocalInvocationID.x; i < pairs; i += 64u) {
    uint at = rope_at + row * 2u * pairs + i;
    float c = uintBitsToFloat(steps[at]), s = uintBitsToFloat(steps[at + pairs]);
    uint a = (flags & 4u) != 0u ? i : 2u * i, b = (flags & 4u) != 0u ? i + pairs : 2u * i + 1u;
    float first = x[a], second = x[b];
    x[a] = first * c - second * s;
    x[b] = first * s + second * c;
  }
  barrier();
}

void store_q8_0(uint b, uint at, uint first) {
  float low = x[first], high = x[first];
  [[dont_unroll]] for (uint i = 1; i < 32u; ++i) {
    low = min(low, x[first + i]);
    high = max(high, x[first + i]);
  }
  uint bits = to_half(clamp(max(high, -low) / 127.0, -65504.0, 65504.0));
  float d = half_at(bits), f = d != 0.0 ? 1.0 / d : 0.0;
  cache16[b].h[at / 2u] = uint16_t(d != 0.0 ? bits : 0u);
  [[dont_unroll]] for (uint i = 0; i < 32u; i += 2u) {
    int first_q = int(clamp(roundEven(x[first + i] * f), -127.0, 127.0));
    int second_q = int(clamp(roundEven(x[first + i + 1u] * f), -127.0, 127.0));
    cache16[b].h[at / 2u + 1u + i / 2u] = uint16_t((uint(first_q) & 255u) | ((uint(second_q) & 255u) << 8));
  }
}

// The value of largest magnitude becomes −8 · d, the end of the range that has one step more.
void store_q4_0(uint b, uint at, uint first) {
  float low = x[first], high = x[first];
  [[dont_unroll]] for (uint i = 1; i < 32u; ++i) {
    low = min(low, x[first + i]);
    high = max(high, x[first + i]);
  }
  uint bits = to_half(clamp((high > -low ? high : low) / -8.0, -65504.0, 65504.0));
  float d = half_at(bits), f = d != 0.0 ? 1.0 / d : 0.0;
  cache16[b].h[at / 2u] = uint16_t(d != 0.0 ? bits : 0u);
  [[dont_unroll]] for (uint i = 0; i < 16u; i += 2u) {
    uint word = 0u;
    for (uint j = 0; j < 2u; ++j) {
      precise float lower = x[first + i + j] * f + 8.5, upper = x[first + i + j + 16u] * f + 8.5;
      word |= (uint(clamp(lower, 0.0, 15.0)) | (uint(clamp(upper, 0.0, 15.0)) << 4)) << (8u * j);
    }
    cache16[b].h[at / 2u + 1u + i / 2u] = uint16_t(word);
  }
}

void store(uint type, uint size, uint b, uint at) {
  const uint t = gl_LocalInvocationID.x;
  if (type == 0u) {
    for (uint i = t; i < size; i += 64u) cache32[b].w[at / 4u + i] = floatBitsToUint(x[i]);
  } else if (type == 1u) {
    for (uint i = t; i < size / 2u; i += 64u)
      cache32[b].w[at / 4u + i] = to_half(x[2u * i]) | (to_half(x[2u * i + 1u]) << 16);
  } else if (type == 2u) {
    for (uint i = t; i < size / 32u; i += 64u) store_q8_0(b, at + 34u * i, 32u * i);
  } else {
    for (uint i = t; i < size / 32u; i += 64u) store_q4_0(b, at + 18u * i, 32u * i);
  }
}

void main() {
  const uint t = gl_LocalInvocationID.x, head = gl_WorkGroupID.x, row = first_row + gl_WorkGroupID.y;
  const bool query = head < q_heads, key = !query && head < q_heads + kv_heads;
  const uint number = query ? head : (head - q_heads) % kv_heads, size = query || key ? k_size : v_size;
  uint from = query ? q_at + row * q_cols + number * k_size
                    : (key ? k_at : v_at) + (row * kv_heads + number) * size;
  for (uint i = t; i < size; i += 64u) x[i] = query ? q[from + i] : kv[from + i];
  barrier();
  if (query && (flags & 1u) != 0u) norm(size, false);
  if (key && (flags & 2u) != 0u) norm(size, true);
  if ((query || key) && pairs != 0u) rotate(row);
  if (query) {
    for (uint i = t; i < size; i += 64u) q[from + i] = x[i];
    return;
  }
  uint position = steps[rows_at + 3u * row], page = steps[table_at + steps[rows_at + 3u * row + 1u] + position / 32u];
  uint b = BINDINGS == 1u ? 0u : page / pages_each;
  uint at = (page - b * pages_each) * layer_page, k_row = row_bytes_of(K_TYPE, k_size);
  if (key) {
    store(K_TYPE, k_size, b, at + (number * 32u + position % 32u) * k_row);
  } else {
    uint v_row = row_bytes_of(V_TYPE, v_size);
    store(V_TYPE, v_size, b, at + kv_heads * 32u * k_row + (number * 32u + position % 32u) * v_row);
  }
}
