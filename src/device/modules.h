#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "device/module.h"

// Finding backend modules and opening devices by name.
namespace hearth {

// The build that a module must come from.
const char* module_build() noexcept;

// Folders in which modules are looked for: those of `folders` (HEARTH_BACKENDS, separated by ':'), or, where
// that is empty, the program's own folder and ../lib/hearth beside it.
std::vector<std::string> module_folders(const std::string& folders);

// Loads libhearth-<backend>.so; it stays loaded as long as the process. Throws Error(not_found) where no
// folder has it (naming them), Error(unsupported) for a module of another build, and what create() throws.
Module& load_module(std::string_view backend, const std::string& folders = {});

struct DeviceOptions {
  CpuOptions cpu;
  std::string folders;    // HEARTH_BACKENDS
  uint32_t halvings = 0;  // as in OpenOptions; exact is that of the CPU
};

// What the driver says of the device that open_device() would open; throws as that does, and Error(not_found)
// for "cpu", which has no driver.
ModuleDevice describe_device(std::string_view name, const DeviceOptions& options);

// Bytes that could be allocated on it now: of the heaps on the device itself, or, where it shares the host's
// memory, of all.
uint64_t free_memory(const ModuleDevice& device) noexcept;

// "cpu", or backend and number ("vulkan0"). Throws Error(bad_request) for a name that is neither,
// Error(not_found) with the names there are.
std::unique_ptr<Device> open_device(std::string_view name, const DeviceOptions& options);

}  // namespace hearth
