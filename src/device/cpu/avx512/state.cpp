#include "device/cpu/avx512/kernels.h"
#include "device/cpu/avx512/vec.h"

#include "device/cpu/wide/state.h"

namespace hearth::cpu::avx512 {

const StateKernels state = state_kernels;

}  // namespace hearth::cpu::avx512
