#pragma once

// Four floats at a time, in the compilers' own vector notation: the same result on every machine, no
// instruction set named. Sums run in four lanes, so that they need not be reassociated to be fast.
#include <cstring>

namespace hearth {

using Lanes = float __attribute__((vector_size(16)));

inline Lanes load(const float* p) {
  Lanes v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline Lanes lanes(float x) { return Lanes{x, x, x, x}; }
inline float sum(Lanes v) { return (v[0] + v[1]) + (v[2] + v[3]); }

}  // namespace hearth
