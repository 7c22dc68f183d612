#pragma once

#include <string>

#include "protocol/messages.h"

namespace hearth {

// The block that --verbose prints after an answer: labels padded to 22 columns, values that are zero left
// out. Benchmark scripts parse it.
std::string statistics_text(const Statistics& statistics);

}  // namespace hearth
