#pragma once

// All types that have vector kernels. Include a set's vec.h first.
#include "device/cpu/wide/floats.h"
#include "device/cpu/wide/kblocks.h"

namespace hearth::cpu {
namespace {

constexpr TypeKernels type_kernels[] = {
    float_kernels_of<F32>(), float_kernels_of<F16>(), kernels_of<Q4_0>(),       kernels_of<Q4_1>(),
    kernels_of<Q5_0>(),      kernels_of<Q5_1>(),      kernels_of<Q8_0>(),       kernels_of<Q2_K>(),
    kernels_of<Q3_K>(),      kernels_of<Q4_K>(),      kernels_of<Q5_K>(),       kernels_of<Q6_K>(),
    kernels_of<IQ4_NL>(),    kernels_of<IQ4_XS>(),    float_kernels_of<BF16>(), kernels_of<MXFP4>(),
};

}  // namespace
}  // namespace hearth::cpu
