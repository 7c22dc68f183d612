#pragma once

#include "cli/run_options.h"

namespace hearth {

// A conversation at the terminal until /bye or Ctrl-D.
void converse(RunOptions options);

}  // namespace hearth
