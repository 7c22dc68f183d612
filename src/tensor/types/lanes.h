#pragma once

// What the quantizers do with four floats at a time.
#include <algorithm>
#include <array>
#include <cstdint>

#include "tensor/lanes.h"

namespace hearth {

// NaN becomes `low`.
inline Lanes bounded(Lanes x, float low, float high) {
  x = x > lanes(low) ? x : lanes(low);
  return x < lanes(high) ? x : lanes(high);
}

// Nearest integer, half to even, of numbers below 2^22: adding 1.5 · 2^23 leaves no room for a fraction.
inline Lanes rounded(Lanes x) { return (x + lanes(0x1.8p23F)) - lanes(0x1.8p23F); }
inline float rounded(float x) { return (x + 0x1.8p23F) - 0x1.8p23F; }

inline float bounded(float x, float low, float high) {
  x = x > low ? x : low;
  return x < high ? x : high;
}

// ---- levels: what a normalised weight can become ----

// The integers Low … High.
template <int Low, int High>
struct Integers {
  static constexpr float lowest = Low, highest = High;
  static Lanes snap(Lanes t) {
    return rounded(bounded(t, static_cast<float>(Low), static_cast<float>(High)));
  }
  // The number of the level, counted from Low.
  static int number(float t) {
    return static_cast<int>(rounded(bounded(t, static_cast<float>(Low), static_cast<float>(High)))) - Low;
  }
};

// Sixteen integer levels in ascending order, given by a table. The borders between them are multiples of a
// half: a table over the doubled number, rounded down, finds the level without comparing.
template <const std::array<float, 16>& Table>
struct Ascending {
  static constexpr float lowest = Table[0], highest = Table[15];
  static constexpr int first = 2 * static_cast<int>(Table[0]) - 1, last = 2 * static_cast<int>(Table[15]) + 1;

  static constexpr int number_from_table(int doubled) {
    int n = 0;
    for (uint32_t i = 0; i < 15; ++i) n += static_cast<float>(doubled) >= Table[i] + Table[i + 1] ? 1 : 0;
    return n;
  }
  static constexpr auto numbers = [] {
    std::array<uint8_t, last - first + 1> all{};
    for (int k = first; k <= last; ++k)
      all[static_cast<size_t>(k - first)] = static_cast<uint8_t>(number_from_table(k));
    return all;
  }();
  static constexpr auto levels = [] {
    std::array<float, last - first + 1> all{};
    for (size_t k = 0; k < all.size(); ++k) all[k] = Table[numbers[k]];
    return all;
  }();

  static size_t place(float above_first) { return static_cast<size_t>(static_cast<int>(above_first)); }
  static Lanes snap(Lanes t) {
    const Lanes at = bounded(t + t - lanes(first), 0, last - first);
    return Lanes{levels[place(at[0])], levels[place(at[1])], levels[place(at[2])], levels[place(at[3])]};
  }
  static int number(float t) { return numbers[place(bounded(t + t - first, 0, last - first))]; }
};

// The caller's weights of a block of at most 256 values, or ones.
inline const float* weights_or_ones(const float* given) {
  static constexpr auto ones = [] {
    std::array<float, 256> all{};
    for (float& x : all) x = 1;
    return all;
  }();
  return given != nullptr ? given : ones.data();
}

}  // namespace hearth
