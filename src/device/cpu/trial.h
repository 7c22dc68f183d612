#pragma once

#include <functional>

#include "base/cpu_features.h"
#include "device/cpu/table.h"

namespace hearth::cpu {

// Whether a set's products and attention give the right results here, found out in a child process: an
// instruction that is invalid after all ends only that.
bool works(const CpuTable& table);

// `features` without the sets that do not work, from the best down to the first that does; a note names each
// that was taken away.
CpuFeatures tried(CpuFeatures features, const std::function<bool(const CpuTable&)>& works);

// Those of this machine; tried once per process.
const CpuFeatures& tried_features();

}  // namespace hearth::cpu
