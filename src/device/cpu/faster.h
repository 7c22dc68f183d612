#pragma once

#include "device/cpu/table.h"

namespace hearth::cpu {

// Of the two products of a type that has two, the one that multiplies the rows of a prompt faster on this
// processor: they race for less than a millisecond, once per process. Both give the same bits, so that
// nothing else depends on who wins.
PackedProduct faster_product(const PackedKernels& kernels);

}  // namespace hearth::cpu
