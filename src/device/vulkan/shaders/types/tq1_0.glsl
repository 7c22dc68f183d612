// q[48], h[4], f16 d: trits 0–4 of q[0..32], then of q[32..48], then trits 0–3 of h. Five trits are a fraction of 256 in
// base three; multiplying by 3^n shifts trit n to the front.
const uint VALUES = 256, BYTES = 54, GAP = 4;
vec4 decode4(uint at, uint e) {
  uint first, n;
  if (e < 160u) { first = e % 32u; n = e / 32u; }
  else if (e < 240u) { first = 32u + (e - 160u) % 16u; n = (e - 160u) / 16u; }
  else { first = 48u; n = (e - 240u) / 4u; }
  const uint powers[5] = uint[5](1u, 3u, 9u, 27u, 81u);
  uvec4 q = uvec4(unsigned_bytes(u32_at2(at + first)));
  return f16_at(at + 52u) * (vec4((((q * powers[n]) & 255u) * 3u) >> 8) - 1.0);
}
