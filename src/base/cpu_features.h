#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hearth {

// What this processor can do *and* this kernel lets a process use: CPUID and XCR0 together, and for AMX the
// permission that Linux wants to be asked for.
struct CpuFeatures {
  bool avx2 = false;    // with FMA and F16C
  bool avx512 = false;  // F, BW, DQ, VL, CD
  bool avx512vnni = false;
  bool avx512bf16 = false;
  bool amx = false;                // tile, bf16, int8; permission granted
  std::string brand;               // "AMD EPYC 9B14 96-Core Processor"
  std::vector<std::string> notes;  // what CPUID offers and the system withholds, with the reason
};

// Reads them once; later calls return the same object.
const CpuFeatures& cpu_features();

}  // namespace hearth
