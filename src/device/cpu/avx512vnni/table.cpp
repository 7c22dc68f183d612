#include "device/cpu/table.h"

namespace hearth::cpu {

// Empty: everything falls through to avx512. VNNI multiplies 8-bit activations, and rounding activations to 8
// bits changes the result (the int8 tolerance class), which no kernel does yet; for float activations it
// offers nothing.
const CpuTable avx512vnni_table = {"avx512vnni", nullptr, 0, nullptr, {nullptr, nullptr, nullptr, nullptr},
                                   nullptr};

}  // namespace hearth::cpu
