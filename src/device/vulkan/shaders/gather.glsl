// Copies the rows whose numbers are steps[list_at …], or, with `sum`, adds the rows of each slice: steps[list_at + 2s]
// is its first row, the next word their number.
layout(local_size_x = 128) in;
layout(binding = 1) readonly buffer Input { float x[]; };
layout(binding = 2) buffer Output { float y[]; };
layout(binding = 5) readonly buffer Step { uint steps[]; };
layout(push_constant) uniform Push { uint cols, x_at, y_at, list_at, sum; };
void main() {
  uint i = gl_WorkGroupID.x * 128u + gl_LocalInvocationID.x, n = gl_WorkGroupID.y;
  if (i >= cols) return;
  if (sum == 0u) {
    y[y_at + n * cols + i] = x[x_at + steps[list_at + n] * cols + i];
    return;
  }
  uint first = steps[list_at + 2u * n], rows = steps[list_at + 2u * n + 1u];
  float v = 0.0;
  for (uint r = 0; r < rows; ++r) v += x[x_at + (first + r) * cols + i];
  y[y_at + n * cols + i] = v;
}
