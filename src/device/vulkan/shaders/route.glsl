// One work group per row: the `used` best of the scores, lowest number first among equals, with their weights.
layout(local_size_x = 64) in;
layout(binding = 1) readonly buffer Input { float scores[]; };
layout(binding = 2) buffer Output { float y[]; };
layout(push_constant) uniform Push {
  uint experts, used, x_at, y_at, first_row;
  uint flags;  // 1 softmax over all before choosing, 2 renormalise
  float scale;
};
const uint MOST = 1024;  // experts; weights.cpp refuses more
shared float s[MOST];
shared float part[64];
shared uint who[64];

float reduced(float v, bool largest) {
  const uint t = gl_LocalInvocationID.x;
  part[t] = v;
  for (uint h = 32u; h > 0u; h >>= 1) {
    barrier();
    if (t < h) part[t] = largest ? max(part[t], part[t + h]) : part[t] + part[t + h];
  }
  barrier();
  float r = part[0];
  barrier();
  return r;
}

// The number of the best score left.
uint best() {
  const uint t = gl_LocalInvocationID.x;
  float v = uintBitsToFloat(0xff800000u);
  uint n = 0xffffffffu;
  for (uint i = t; i < experts; i += 64u) {
    if (s[i] > v) { v = s[i]; n = i; }
  }
  part[t] = v;
  who[t] = n;
  for (uint h = 32u; h > 0u; h >>= 1) {
    barrier();
    if (t < h && (part[t + h] > part[t] || (part[t + h] == part[t] && who[t + h] < who[t]))) {
      part[t] = part[t + h];
      who[t] = who[t + h];
    }
  }
  barrier();
  uint r = min(who[0], experts - 1u);
  barrier();
  return r;
}

void main() {
  const uint t = gl_LocalInvocationID.x, row = first_row + gl_WorkGroupID.x, out_at = y_at + row * 2u * used;
  float highest = uintBitsToFloat(0xff800000u);
  for (uint i = t; i < experts; i += 64u) {
    s[i] = scores[x_at + gl_WorkGroupID.x * experts + i];
    highest = max(highest, s[i]);
  }
  if ((flags & 1u) != 0u) {
    highest = reduced(highest, true);
    float sum = 0.0;
    for (uint i = t; i < experts; i += 64u) sum += s[i] = exp(s[i] - highest);
    sum = reduced(sum, false);
    for (uint i = t; i < experts; i += 64u) s[i] = s[i] / sum;
  }
  barrier();
  for (uint u = 0; u < used; ++u) {
    uint n = best();
    if (t == 0u) {
      y[out_at + u] = float(n);
      y[out_at + used + u] = s[n];
      s[n] = uintBitsToFloat(0xff800000u);
    }
    barrier();
  }
  if (t != 0u) return;
  float sum = 0.0, first = y[out_at + used];  // the best came first
  for (uint u = 0; u < used; ++u) {
    float w = y[out_at + used + u];
    if ((flags & 1u) == 0u) y[out_at + used + u] = w = exp(w - first);
    sum += w;
  }
  float factor = (flags & 1u) != 0u && (flags & 2u) == 0u ? scale : scale / sum;
  for (uint u = 0; u < used; ++u) y[out_at + used + u] *= factor;
}
