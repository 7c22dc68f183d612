// Rows of the cache. A layer's pages lie in up to four bindings; a page holds [kv head][token][k row], then the same of
// the values. Types: 0 f32, 1 f16, 2 q8_0, 3 q4_0.
layout(binding = 6) buffer Cache32 { uint w[]; } cache32[4];
layout(binding = 6) buffer Cache16 { uint16_t h[]; } cache16[4];

uint row_bytes_of(uint type, uint size) {
  return type == 0u ? 4u * size : type == 1u ? 2u * size : type == 2u ? size / 32u * 34u : size / 32u * 18u;
}

// Values d..d+3 of the row at byte `at` of binding b.
vec4 cached4(uint type, uint b, uint at, uint d) {
  if (type == 0u) {
    uint i = at / 4u + d;
    return uintBitsToFloat(uvec4(cache32[b].w[i], cache32[b].w[i + 1u], cache32[b].w[i + 2u], cache32[b].w[i + 3u]));
  }
  if (type == 1u) {
    uint i = at / 4u + d / 2u;
    return vec4(unpackHalf2x16(cache32[b].w[i]), unpackHalf2x16(cache32[b].w[i + 1u]));
  }
  if (type == 2u) {
    uint block = (at + d / 32u * 34u) / 2u, i = block + 1u + d % 32u / 2u;
    uint q = uint(cache16[b].h[i]) | (uint(cache16[b].h[i + 1u]) << 16);
    return half_at(uint(cache16[b].h[block])) * signed_bytes(q);
  }
  uint block = (at + d / 32u * 18u) / 2u, i = block + 1u + d % 16u / 2u;
  uint q = uint(cache16[b].h[i]) | (uint(cache16[b].h[i + 1u]) << 16);
  q = (q >> (d % 32u / 16u * 4u)) & 0x0f0f0f0fu;
  return half_at(uint(cache16[b].h[block])) * (unsigned_bytes(q) - 8.0);
}
