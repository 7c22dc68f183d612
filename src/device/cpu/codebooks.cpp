#include "device/cpu/codebooks.h"

#include <array>
#include <cstddef>

#include "tensor/codebooks.h"

namespace hearth::cpu {
namespace {

// `bits` per weight of a row, lowest first, each a number into `levels`; times `factor`.
template <uint32_t bits, class Word, size_t rows, size_t count>
void widen(const std::array<uint16_t, rows>& from, const std::array<float, count>& levels, int factor,
           Word (&to)[rows]) {
  for (size_t i = 0; i < rows; ++i) {
    Word all = 0;
    for (size_t k = 0; k < sizeof(Word); ++k) {
      const int level = factor * static_cast<int>(levels[(from[i] >> (bits * k)) & (count - 1)]);
      all |= static_cast<Word>(static_cast<uint8_t>(level)) << (8 * k);
    }
    to[i] = all;
  }
}

Codebooks widened() {
  Codebooks c{};
  widen<2>(iq2_xxs_rows, iq2_levels, 1, c.iq2_xxs);
  widen<2>(iq2_xs_rows, iq2_levels, 1, c.iq2_xs);
  widen<2>(iq2_s_rows, iq2_levels, 1, c.iq2_s);
  widen<3>(iq3_xxs_rows, iq3_xxs_levels, 1, c.iq3_xxs);
  widen<3>(iq3_s_rows, iq3_s_levels, 1, c.iq3_s);
  widen<2>(iq1_rows, iq1_levels, 8, c.iq1);
  for (uint32_t i = 0; i < 128; ++i)
    c.signs[i] = static_cast<uint8_t>(i | (static_cast<uint32_t>(__builtin_popcount(i) & 1) << 7));
  return c;
}

}  // namespace

const Codebooks codebooks = widened();

}  // namespace hearth::cpu
