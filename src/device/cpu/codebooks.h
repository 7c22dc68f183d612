#pragma once

// The codebooks of the IQ types as the row kernels look them up: a row of eight (or four) weights is one
// word of bytes. Included by kernel files: declarations only.
#include <cstdint>

namespace hearth::cpu {

struct Codebooks {
  uint64_t iq2_xxs[256], iq2_xs[512], iq2_s[1024];  // magnitudes
  uint32_t iq3_xxs[256], iq3_s[512];
  uint64_t iq1[2048];  // −8, 0, 8: eighths, for the shift by one
  uint8_t signs[128];  // seven bits, with their parity as the eighth
};

extern const Codebooks codebooks;

}  // namespace hearth::cpu
