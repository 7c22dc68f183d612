// The only symbol that the module exports.
#include "device/modules.h"
#include "device/vulkan/vulkan_module.h"

extern "C" __attribute__((visibility("default"))) const hearth::ModuleEntry* hearth_module_v1() {
  static const hearth::ModuleEntry entry{
      hearth::module_abi, hearth::module_build(), "vulkan",
      [] { return static_cast<hearth::Module*>(new hearth::vulkan::VulkanModule); }};
  return &entry;
}
