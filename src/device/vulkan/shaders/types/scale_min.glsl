// Scale and minimum of sub-block j of Q4_K and Q5_K: six bits each, packed into the twelve bytes at `at`, which is a
// multiple of four.
vec2 scale_min(uint at, uint j) {
  uint s = j % 4u * 8u;
  uint a = u32_at4(at) >> s, b = u32_at4(at + 4u) >> s, c = u32_at4(at + 8u) >> s;
  if (j < 4u) return vec2(float(a & 63u), float(b & 63u));
  return vec2(float((c & 15u) | ((a >> 2) & 48u)), float(((c >> 4) & 15u) | ((b >> 2) & 48u)));
}
