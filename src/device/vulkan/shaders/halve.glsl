// Activations as halves. A row is multiplied by the power of two that brings its largest magnitude to 2^14 and above, below
// 2^15: none overflows, and only what is 2^28 times smaller than the largest is rounded more coarsely than a half's ten
// bits. A work group makes one row; where it lies is said in product.glsl.
layout(local_size_x = 128) in;
layout(binding = 1) readonly buffer Input { vec4 x4[]; };
layout(binding = 2) buffer Output { uint y[]; };
layout(push_constant) uniform Push { uint cols, x_at, y_at, first_row, rows; };
shared float most[128];
void main() {
  const uint n = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x, t = gl_LocalInvocationID.x;
  if (n >= rows) return;
  const uint from = x_at / 4u + (first_row + n) * (cols / 4u), to = y_at + (first_row + n) * (cols / 2u + 4u);
  vec4 high = vec4(0.0);
  [[dont_unroll]] for (uint i = t; i < cols / 4u; i += 128u) high = max(high, abs(x4[from + i]));
  most[t] = max(max(high.x, high.y), max(high.z, high.w));
  barrier();
  [[dont_unroll]] for (uint half_way = 64u; half_way > 0u; half_way /= 2u) {
    if (t < half_way) most[t] = max(most[t], most[t + half_way]);
    barrier();
  }
  // Exponents as floats have them, kept where both powers of two are normal numbers.
  const uint e = clamp(floatBitsToUint(most[0]) >> 23, 15u, 254u);
  const float up = uintBitsToFloat((268u - e) << 23);
  [[dont_unroll]] for (uint i = t; i < cols / 4u; i += 128u) {
    const vec4 v = x4[from + i] * up;
    y[to + 2u * i] = to_half(v.x) | (to_half(v.y) << 16);
    y[to + 2u * i + 1u] = to_half(v.z) | (to_half(v.w) << 16);
  }
  if (t == 0u) y[to + cols / 2u] = (e - 14u) << 23;
}
