// The fifth bits of four values: bits 0–3 of h, each moved to bit 4 of its byte.
uint fifth_bits(uint h) {
  return ((h & 1u) << 4) | ((h & 2u) << 11) | ((h & 4u) << 18) | ((h & 8u) << 25);
}
