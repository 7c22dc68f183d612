// y = a · x + b · other, element by element.
layout(local_size_x = 128) in;
layout(binding = 1) readonly buffer Input { float x[]; };
layout(binding = 2) buffer Output { float y[]; };
layout(binding = 4) readonly buffer Other { float other[]; };
layout(push_constant) uniform Push {
  uint count, x_at, y_at, other_at;
  float a, b;
};
void main() {
  uint i = (gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x) * 128u + gl_LocalInvocationID.x;
  if (i >= count) return;
  float v = a * x[x_at + i];
  if (b != 0.0) v += b * other[other_at + i];
  y[y_at + i] = v;
}
