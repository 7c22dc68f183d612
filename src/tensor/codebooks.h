#pragma once

#include <array>
#include <cstdint>

namespace hearth {

// Codebooks of the IQ types, packed. Rows of eight: two bits per element, lowest first, an index into
// `levels` {8, 25, 43} (IQ2) or {−1, 0, 1} (IQ1). Rows of four: three bits per element, an index into the
// type's levels.
extern const std::array<uint16_t, 256> iq2_xxs_rows;
extern const std::array<uint16_t, 512> iq2_xs_rows;
extern const std::array<uint16_t, 1024> iq2_s_rows;
extern const std::array<uint16_t, 256> iq3_xxs_rows;
extern const std::array<uint16_t, 512> iq3_s_rows;
extern const std::array<uint16_t, 2048> iq1_rows;

inline constexpr std::array<float, 4> iq2_levels{8, 25, 43, 0};
inline constexpr std::array<float, 4> iq1_levels{-1, 0, 1, 0};
inline constexpr std::array<float, 8> iq3_xxs_levels{4, 12, 20, 28, 36, 44, 52, 62};
inline constexpr std::array<float, 8> iq3_s_levels{1, 3, 5, 7, 9, 11, 13, 15};

// Values of the four-bit types by nibble: IQ4 for IQ4_NL and IQ4_XS; twice the E2M1 numbers for MXFP4 and
// NVFP4.
inline constexpr std::array<float, 16> iq4_levels{-127, -104, -83, -65, -49, -35, -22, -10,
                                                  1,    13,   25,  38,  53,  69,  89,  113};
inline constexpr std::array<float, 16> fp4_levels{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

}  // namespace hearth
