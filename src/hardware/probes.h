#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "hardware/probe_child.h"
#include "hardware/verdict_cache.h"

// All backends and devices of this machine: from the cache where it still holds, else by probing.
namespace hearth {

struct MachineProbe {
  std::filesystem::path folder;  // of the cache
  std::vector<std::string> backends{"rocm", "cuda", "vulkan"};
  bool cpu = true;
  bool again = false;     // whatever the cache says, and whatever became of earlier attempts
  bool software = false;  // drivers that compute on the processor (lavapipe) too
  std::string module_folders, cpu_set;
  uint32_t threads = 0;
  std::map<std::string, std::string> gfx;   // by PCI address: "gfx1031"
  std::map<std::string, uint32_t> nodes;    // by PCI address: the KFD node, processors counted
  std::vector<std::string> driver_folders;  // ProbeQuestion::driver_folders
  // Whether the machine has nothing else to do now; a moment's look at /proc/stat where it is empty.
  std::function<bool()> idle;
  std::string root;  // replaces "/" for what is read here, in tests
  ProbeRunner runner;
};

struct MachineVerdicts {
  std::vector<ProbeVerdict> verdicts;  // of devices, and of backends as a whole (empty key)
  std::vector<std::string> notes;      // what to know besides: cache files that were ignored …
  bool complete = true;                // nothing is missing that a probe would tell
};

// What the cache has; starts nothing, opens no driver. Takes milliseconds.
MachineVerdicts cached_verdicts(const MachineProbe& machine);

// The same, and what is missing is probed. Backends are asked at once; cards are probed side by side, devices
// that share the processor's memory one after the other.
MachineVerdicts probe_machine(const MachineProbe& machine);

// Rates that were measured while the machine was busy come out low. Where it is idle now, those of `known`
// are measured again, and kept in the cache; true: one of them is new.
bool measure_again(const MachineProbe& machine, MachineVerdicts& known);
// Some verdict has rates of a busy machine.
bool measured_busy(const MachineVerdicts& known) noexcept;

// What to change in the environment, one try after the other, for a device of ROCm that failed as things are:
// the override that is set for it is taken away, the one that the tables know is set. Where the KFD node is
// known the variable of that node is used, so that other cards keep what they have. `variable`: what is set
// now.
std::vector<EnvironmentChanges> override_changes(
    const std::string& gfx, std::optional<uint32_t> node,
    const std::function<std::optional<std::string>(const std::string&)>& variable);

// What a child of a backend gets another environment in: filters meant for other vendors are taken away.
EnvironmentChanges environment_for(const std::string& backend);

}  // namespace hearth
