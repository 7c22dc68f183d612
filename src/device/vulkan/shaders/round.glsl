// Activations as bytes: per 32 columns the largest magnitude becomes 127. A thread makes one such block; where a row lies is
// said in product.glsl.
layout(local_size_x = 64) in;
layout(binding = 1) readonly buffer Input { vec4 x4[]; };
layout(binding = 2) buffer Output { uint y[]; };
layout(push_constant) uniform Push { uint cols, x_at, y_at, first_row, rows; };
void main() {
  const uint blocks = cols / 32u, n = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * 64u + gl_LocalInvocationID.x;
  if (n >= rows * blocks) return;
  const uint row = first_row + n / blocks, block = n % blocks;
  const uint from = x_at / 4u + (row * cols + block * 32u) / 4u;
  vec4 high = vec4(0.0);
  [[dont_unroll]] for (uint i = 0; i < 8u; ++i) high = max(high, abs(x4[from + i]));
  const float most = max(max(high.x, high.y), max(high.z, high.w)), f = most > 0.0 ? 127.0 / most : 0.0;
  const uint to = y_at + row * (cols / 4u + (blocks + 3u) / 4u * 4u);
  [[dont_unroll]] for (uint i = 0; i < 8u; ++i) {
    const uvec4 q = uvec4(ivec4(clamp(roundEven(x4[from + i] * f), -127.0, 127.0))) & 255u;
    y[to + block * 8u + i] = q.x | (q.y << 8) | (q.z << 16) | (q.w << 24);
  }
  y[to + cols / 4u + block] = floatBitsToUint(most / 127.0);
}
