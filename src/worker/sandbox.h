#pragma once

#include <string>

namespace hearth {

// Gives up what a child that meets hostile content never needs: starting programs, the network, writing or
// changing files, tracing others, new privileges. Reading files and starting threads stay allowed. Empty if
// in force, else why not (a kernel without seccomp); the caller logs it.
std::string enter_sandbox();

}  // namespace hearth
