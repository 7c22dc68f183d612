// Of types that have levels and no way to read sixteen of them together.
#ifndef LEVELS16
uvec4 levels16(uint at, uint e) {
  return uvec4(levels4(at, e), levels4(at, e + 4u), levels4(at, e + 8u), levels4(at, e + 12u));
}
#endif
