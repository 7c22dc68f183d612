// One work group per row: root mean square or layer norm. Of rows that continue sequences it may leave bytes too
// (rounded.glsl), for the products that follow.
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint THREADS = 128;  // a power of two, at least 8
layout(binding = 0) buffer Rounded { uint rounded[]; };
layout(binding = 1) readonly buffer Input { float x[]; };
layout(binding = 1) readonly buffer Input4 { vec4 x4[]; };
layout(binding = 2) buffer Output { float y[]; };
layout(binding = 2) buffer Output4 { vec4 y4[]; };
layout(binding = 3) readonly buffer Gain { float gain[]; };
layout(binding = 3) readonly buffer Gain4 { vec4 gain4[]; };
layout(binding = 4) readonly buffer Bias { float bias[]; };
layout(binding = 4) readonly buffer Bias4 { vec4 bias4[]; };
layout(push_constant) uniform Push {
  uint cols, x_at, y_at, gain_at, bias_at;  // multiples of four
  uint flags;                               // 1 gain, 2 bias, 4 subtract the mean
  float eps;
  uint to_round, rounded_at;  // rows [0, to_round) leave bytes; words
};
shared float part[THREADS];

float total(float v) {
  const uint t = gl_LocalInvocationID.x;
  part[t] = v;
  for (uint s = THREADS / 2u; s > 0u; s >>= 1) {
    barrier();
    if (t < s) part[t] += part[t + s];
  }
  barrier();
  float sum = part[0];
  barrier();
  return sum;
}

// Rows whose length is no multiple of four.
void norm_floats(uint from, uint to) {
  const uint t = gl_LocalInvocationID.x;
  float mean = 0.0, sum = 0.0;
  if ((flags & 4u) != 0u) {
    for (uint i = t; i < cols; i += THREADS) sum += x[from + i];
    mean = total(sum) / float(cols);
  }
  sum = 0.0;
  for (uint i = t; i < cols; i += THREADS) sum += (x[from + i] - mean) * (x[from + i] - mean);
  const float factor = 1.0 / sqrt(total(sum) / float(cols) + eps);
  for (uint i = t; i < cols; i += THREADS) {
    float v = (x[from + i] - mean) * factor;
    if ((flags & 1u) != 0u) v *= gain[gain_at + i];
    if ((flags & 2u) != 0u) v += bias[bias_at + i];
    y[to + i] = v;
  }
}

// The bytes of four values; eight threads that stand side by side make those of a block.
void round4(vec4 v, uint row, uint i) {
  const uint t = gl_LocalInvocationID.x, words = rounded_at + row * rounded_words(cols);
  part[t] = largest(v);
  barrier();
  float most = part[t / 8u * 8u];
  [[unroll]] for (uint n = 1u; n < 8u; ++n) most = max(most, part[t / 8u * 8u + n]);
  barrier();
  if (i >= cols / 4u) return;
  rounded[words + i] = bytes_of(v, factor_of(most));
  if (t % 8u == 0u) rounded[words + cols / 4u + i / 8u] = floatBitsToUint(most / 127.0);
}

void main() {
  const uint t = gl_LocalInvocationID.x, row = gl_WorkGroupID.x, from = x_at + row * cols, to = y_at + row * cols;
  if (cols % 4u != 0u) {
    norm_floats(from, to);
    return;
  }
  const uint quads = cols / 4u, x0 = from / 4u, y0 = to / 4u;
  float mean = 0.0, sum = 0.0;
  if ((flags & 4u) != 0u) {
    for (uint i = t; i < quads; i += THREADS) sum += dot(x4[x0 + i], vec4(1.0));
    mean = total(sum) / float(cols);
  }
  sum = 0.0;
  for (uint i = t; i < quads; i += THREADS) sum += dot(x4[x0 + i] - mean, x4[x0 + i] - mean);
  const float factor = 1.0 / sqrt(total(sum) / float(cols) + eps);
  for (uint begin = 0u; begin < quads; begin += THREADS) {
    const uint i = begin + t;
    vec4 v = vec4(0.0);
    if (i < quads) {
      v = (x4[x0 + i] - mean) * factor;
      if ((flags & 1u) != 0u) v *= gain4[gain_at / 4u + i];
      if ((flags & 2u) != 0u) v += bias4[bias_at / 4u + i];
      y4[y0 + i] = v;
    }
    if (row < to_round) round4(v, row, i);
  }
}
