#include "device/cpu/avx2/kernels.h"
#include "device/cpu/avx2/vec.h"

#include "device/cpu/wide/attend.h"

namespace hearth::cpu::avx2 {

const AttendKernels attend = attend_kernels;

}  // namespace hearth::cpu::avx2
