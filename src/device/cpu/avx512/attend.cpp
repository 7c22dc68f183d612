#include "device/cpu/avx512/kernels.h"
#include "device/cpu/avx512/vec.h"

#include "device/cpu/wide/attend.h"

namespace hearth::cpu::avx512 {

const AttendKernels attend = attend_kernels;

}  // namespace hearth::cpu::avx512
