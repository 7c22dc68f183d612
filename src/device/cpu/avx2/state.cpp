#include "device/cpu/avx2/kernels.h"
#include "device/cpu/avx2/vec.h"

#include "device/cpu/wide/state.h"

namespace hearth::cpu::avx2 {

const StateKernels state = state_kernels;

}  // namespace hearth::cpu::avx2
