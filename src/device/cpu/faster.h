#pragma once

#include "base/threads.h"
#include "device/cpu/table.h"

namespace hearth::cpu {

// Of the two products of a type that has two, the one that multiplies the rows of a prompt faster on this
// processor: all threads race for a few milliseconds, once per process. Together, since threads that share a
// core's units want other instructions than one that has them alone. Both give the same bits, so that nothing
// else depends on who wins.
PackedProduct faster_product(const PackedKernels& kernels, ThreadTeam& team);

}  // namespace hearth::cpu
