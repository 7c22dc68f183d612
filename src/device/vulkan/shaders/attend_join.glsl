// Adds up the chunks of attend, one work group per row and head. A single chunk is left as it is, bit for bit.
layout(local_size_x = 64) in;
layout(binding = 2) buffer Output { float y[]; };
layout(binding = 3) readonly buffer Sinks { float sinks[]; };
layout(binding = 4) readonly buffer Parts { float parts[]; };
layout(binding = 5) readonly buffer Step { uint steps[]; };
layout(push_constant) uniform Push {
  uint y_at, y_cols, v_size, heads;
  uint flags;  // 1 causal, 2 sinks
  uint window, rows_at, sinks_at, parts_at;
};
void main() {
  const uint h = gl_WorkGroupID.x, row = gl_WorkGroupID.y;
  const uint position = steps[rows_at + 3u * row];
  const uint end = (flags & 1u) != 0u ? position + 1u : steps[rows_at + 3u * row + 2u];
  const uint begin = window != 0u && position + 1u > window ? position + 1u - window : 0u;
  const uint pages = (end + 31u) / 32u - begin / 32u, each = max(4u, (pages + 15u) / 16u);
  const uint chunks = (pages + each - 1u) / each, size = v_size + 2u;
  const uint first = parts_at + (row * heads + h) * 16u * size;
  float high = parts[first];
  for (uint c = 1; c < chunks; ++c) high = max(high, parts[first + c * size]);
  float sink = 0.0;
  if ((flags & 2u) != 0u) {
    sink = sinks[sinks_at + h];
    high = max(high, sink);
  }
  for (uint d = gl_LocalInvocationID.x; d < v_size; d += 64u) {
    float a = 0.0, sum = 0.0;
    for (uint c = 0; c < chunks; ++c) {
      float b = parts[first + c * size], f = b == high ? 1.0 : exp(b - high);
      a += f * parts[first + c * size + 2u + d];
      sum += f * parts[first + c * size + 1u];
    }
    if ((flags & 2u) != 0u) sum += exp(sink - high);
    y[y_at + row * y_cols + h * v_size + d] = a / sum;
  }
}
