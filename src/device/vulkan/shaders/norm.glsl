// One work group per row: root mean square or layer norm.
layout(local_size_x = 128) in;
layout(binding = 1) readonly buffer Input { float x[]; };
layout(binding = 2) buffer Output { float y[]; };
layout(binding = 3) readonly buffer Gain { float gain[]; };
layout(binding = 4) readonly buffer Bias { float bias[]; };
layout(push_constant) uniform Push {
  uint cols, x_at, y_at, gain_at, bias_at;
  uint flags;  // 1 gain, 2 bias, 4 subtract the mean
  float eps;
  uint first_row;
};
shared float part[128];

float total(float v) {
  const uint t = gl_LocalInvocationID.x;
  part[t] = v;
  for (uint s = 64u; s > 0u; s >>= 1) {
    barrier();
    if (t < s) part[t] += part[t + s];
  }
  barrier();
  float sum = part[0];
  barrier();
  return sum;
}

void main() {
  const uint t = gl_LocalInvocationID.x, row = (first_row + gl_WorkGroupID.x) * cols;
  float mean = 0.0;
  if ((flags & 4u) != 0u) {
    float sum = 0.0;
    for (uint i = t; i < cols; i += 128u) sum += x[x_at + row + i];
    mean = total(sum) / float(cols);
  }
  float squares = 0.0;
  for (uint i = t; i < cols; i += 128u) {
    float v = x[x_at + row + i] - mean;
    squares += v * v;
  }
  float factor = 1.0 / sqrt(total(squares) / float(cols) + eps);
  for (uint i = t; i < cols; i += 128u) {
    float v = (x[x_at + row + i] - mean) * factor;
    if ((flags & 1u) != 0u) v *= gain[gain_at + i];
    if ((flags & 2u) != 0u) v += bias[bias_at + i];
    y[y_at + row + i] = v;
  }
}
