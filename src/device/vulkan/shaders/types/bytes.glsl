// Blocks of an odd number of bytes begin anywhere in a word.
uint u8_at(uint at) { return (w32[at >> 2] >> (8u * (at & 3u))) & 255u; }
uint u32_at1(uint at) {
  uint s = 8u * (at & 3u), low = w32[at >> 2] >> s;
  return s == 0u ? low : low | (w32[(at >> 2) + 1u] << (32u - s));
}
