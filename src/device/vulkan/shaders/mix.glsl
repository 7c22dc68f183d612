// y = Σ weight · scale · (what expert u made of the row) + residual.
layout(local_size_x = 128) in;
layout(binding = 1) readonly buffer Input { float x[]; };  // [pairs × cols]
layout(binding = 2) buffer Output { float y[]; };
layout(binding = 3) readonly buffer Residual { float residual[]; };
layout(binding = 4) readonly buffer Route { float route[]; };
layout(push_constant) uniform Push {
  uint cols, x_at, y_at, residual_at, route_at, used, first_row, has_residual;
  float scale;
};
void main() {
  uint i = gl_WorkGroupID.x * 128u + gl_LocalInvocationID.x, n = gl_WorkGroupID.y, row = first_row + n;
  if (i >= cols) return;
  float v = 0.0;
  for (uint u = 0; u < used; ++u)
    v += route[route_at + row * 2u * used + used + u] * scale * x[x_at + (n * used + u) * cols + i];
  if (has_residual != 0u) v += residual[residual_at + row * cols + i];
  y[y_at + row * cols + i] = v;
}
