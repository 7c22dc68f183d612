#pragma once

#include <string>

namespace hearth {

// What the child computes with. A driver of a GPU opens its device files anew while it works (NVIDIA's for
// every mapping), so that under `gpu` files below /dev may be opened for reading and writing; other files
// still may not be written, which Landlock (Linux 5.13) takes care of. Without Landlock `gpu` is as strict as
// `cpu` about files. A descriptor that is open for writing may be resized, as drivers do with nameless files
// that hold their memory.
enum class SandboxFor { cpu, gpu };

// Gives up what a child that meets hostile content never needs: starting programs, the network, writing or
// changing files, tracing others, new privileges. Reading files and starting threads stay allowed. Empty if
// in force, else why not (a kernel without seccomp); the caller logs it.
std::string enter_sandbox(SandboxFor use = SandboxFor::cpu);

}  // namespace hearth
