// Activations as bytes: a thread makes those of 32 columns of a row.
layout(local_size_x = 64) in;
layout(binding = 1) readonly buffer Input { vec4 x4[]; };
layout(binding = 2) buffer Output { uint y[]; };
layout(push_constant) uniform Push { uint cols, x_at, y_at, first_row, rows; };
void main() {
  const uint blocks = cols / 32u, n = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * 64u + gl_LocalInvocationID.x;
  if (n >= rows * blocks) return;
  const uint row = first_row + n / blocks, block = n % blocks;
  const uint from = x_at / 4u + (row * cols + block * 32u) / 4u, to = y_at + row * rounded_words(cols);
  float most = 0.0;
  [[dont_unroll]] for (uint i = 0; i < 8u; ++i) most = max(most, largest(x4[from + i]));
  const float factor = factor_of(most);
  [[dont_unroll]] for (uint i = 0; i < 8u; ++i) y[to + block * 8u + i] = bytes_of(x4[from + i], factor);
  y[to + cols / 4u + block] = floatBitsToUint(most / 127.0);
}
