#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "device/device.h"

// The border to a backend in a shared object of its own (libhearth-vulkan.so). Program and module are built
// together from one tree, so C++ types may cross; `build` catches a module of another build. A module is
// loaded in probe and worker processes only, never in the server.
namespace hearth {

enum class ModuleDeviceKind : uint8_t { discrete, integrated, virtual_gpu, cpu, other };
std::string_view to_string(ModuleDeviceKind kind) noexcept;

struct MemoryHeap {
  uint64_t bytes = 0, free = 0;  // free: what the driver's budget leaves now
  bool device_local = false, host_visible = false;
};

// A device as its driver describes it, before anything was computed on it.
struct ModuleDevice {
  std::string name;         // "vulkan0": backend and number, in the order of the driver
  std::string description;  // the driver's own name of it
  std::string key;     // PCI address "0000:03:00.0" where the driver tells it, else the driver's UUID in hex
  std::string driver;  // name and version: part of what a verdict holds for
  ModuleDeviceKind kind = ModuleDeviceKind::other;
  uint32_t vendor_id = 0, device_id = 0;
  std::vector<MemoryHeap> heaps;
  uint64_t largest_allocation = 0;    // bytes; 0 = no limit
  PieceLimit layer_cache = {};        // of the keys and values of one layer
  std::vector<std::string> features;  // what kernels may be chosen by: "int_dot", "subgroup", "coopmat" …
  std::string lacks;                  // why no program can run on it; empty = nothing is missing
};

// How a device is to compute.
struct OpenOptions {
  bool exact = false;     // products in float arithmetic, whatever is faster
  uint32_t halvings = 0;  // of the time that a job of the device may take, since it was lost before
};

class Module {
 public:
  virtual ~Module() = default;
  // Asks the driver. Throws Error(not_found) without a driver, Error(device_lost) where it fails.
  virtual std::vector<ModuleDevice> devices() = 0;
  // `index`: in devices(). The device must not outlive the module. Throws Error(unsupported),
  // Error(device_lost).
  virtual std::unique_ptr<Device> open(uint32_t index, const OpenOptions& options) = 0;
};

inline constexpr uint32_t module_abi = 1;

// What hearth_module_v1() returns; static.
struct ModuleEntry {
  uint32_t abi = module_abi;
  const char* build = nullptr;    // must equal module_build()
  const char* backend = nullptr;  // "vulkan"
  Module* (*create)() = nullptr;  // throws Error(not_found): the driver's loader library is not there
};
using ModuleEntryFunction = const ModuleEntry* (*)();
inline constexpr const char* module_entry_symbol = "hearth_module_v1";

}  // namespace hearth
