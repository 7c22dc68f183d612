// Scale and minimum of sub-block j of Q4_K and Q5_K: head is the block's first sixteen bytes, d and dmin as halves and then
// twelve bytes with six bits each.
vec2 scale_min(uvec4 head, uint j) {
  uint s = j % 4u * 8u;
  uint a = head.y >> s, b = head.z >> s, c = head.w >> s;
  vec2 by = j < 4u ? vec2(float(a & 63u), float(b & 63u))
                   : vec2(float((c & 15u) | ((a >> 2) & 48u)), float(((c >> 4) & 15u) | ((b >> 2) & 48u)));
  return unpackHalf2x16(head.x) * by;
}
