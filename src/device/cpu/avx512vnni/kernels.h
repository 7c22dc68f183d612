#pragma once

// What the files of this folder give to its table.cpp.
#include "device/cpu/packed.h"
#include "device/cpu/table.h"

namespace hearth::cpu::avx512vnni {

extern const PeakKernel peak;
extern const PackedKernels packed[packed_form_count];
extern const AttendKernels attend;
extern const KvKernels kv_q8_0;

}  // namespace hearth::cpu::avx512vnni
