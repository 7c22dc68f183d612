#pragma once

#include <bit>
#include <cstdint>

namespace hearth::sampling {

// e^x for x of 0 or less, to a relative error below 1e-11; 0 below −700 and for what is not a number. Made of
// additions and multiplications in a fixed order: a C library's exp differs in the last bit between versions
// and processors, and a seed would not give the same text everywhere.
inline double exponential(double x) {
  if (!(x > -700)) return 0;
  // x = n·ln 2 + r with |r| at most ln 2 / 2. Adding 1.5·2^52 rounds to an integer, which then stands in the
  // lowest bits; ln 2 in two parts keeps r exact.
  constexpr double shift = 0x1.8p52;
  const double shifted = x * 0x1.71547652b82fep0 + shift;
  const double n = shifted - shift;
  const double r = (x - n * 0x1.62e42feep-1) - n * 0x1.a39ef35793c76p-33;
  double sum = 1.0 / 362880;
  for (const double factor :
       {1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 1.0 / 2, 1.0, 1.0})
    sum = sum * r + factor;
  const uint64_t power = (std::bit_cast<uint64_t>(shifted) + 1023) << 52;
  return sum * std::bit_cast<double>(power);
}

}  // namespace hearth::sampling
