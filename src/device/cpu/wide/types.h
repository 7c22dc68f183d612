#pragma once

// All types that have vector kernels. Include a set's vec.h first.
#include "device/cpu/wide/codebook_blocks.h"
#include "device/cpu/wide/floats.h"
#include "device/cpu/wide/small_blocks.h"

namespace hearth::cpu {
namespace {

constexpr TypeKernels type_kernels[] = {
    float_kernels_of<F32>(), float_kernels_of<F16>(),  kernels_of<Q4_0>(),    kernels_of<Q4_1>(),
    kernels_of<Q5_0>(),      kernels_of<Q5_1>(),       kernels_of<Q8_0>(),    kernels_of<Q2_K>(),
    kernels_of<Q3_K>(),      kernels_of<Q4_K>(),       kernels_of<Q5_K>(),    kernels_of<Q6_K>(),
    kernels_of<IQ2_XXS>(),   kernels_of<IQ2_XS>(),     kernels_of<IQ3_XXS>(), kernels_of<IQ1_S>(),
    kernels_of<IQ4_NL>(),    kernels_of<IQ3_S>(),      kernels_of<IQ2_S>(),   kernels_of<IQ4_XS>(),
    kernels_of<IQ1_M>(),     float_kernels_of<BF16>(), kernels_of<TQ1_0>(),   kernels_of<TQ2_0>(),
    kernels_of<MXFP4>(),     kernels_of<NVFP4>(),      kernels_of<Q1_0>(),    kernels_of<Q2_0>(),
};

}  // namespace
}  // namespace hearth::cpu
