#include "device/vulkan/api.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include "base/error.h"

namespace hearth::vulkan {
namespace {

Error lacks_function(const char* name) {
  return Error(Code::unsupported, fmt::format("the Vulkan driver has no function {}", name),
               "update the graphics driver; Vulkan 1.2 is needed");
}

}  // namespace

#define HEARTH_VULKAN_GET(name)                                \
  api.name = reinterpret_cast<PFN_##name>(get(handle, #name)); \
  if (api.name == nullptr) throw lacks_function(#name);

GlobalApi load_api() {
  // The name with a number belongs to the loader itself; NixOS keeps drivers' libraries in a place of its
  // own.
  void* library = nullptr;
  for (const char* name : {"libvulkan.so.1", "/run/opengl-driver/lib/libvulkan.so.1"}) {
    if (library == nullptr) library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  }
  if (library == nullptr) {
    throw Error(Code::not_found, fmt::format("the Vulkan loader is not there: {}", dlerror()),
                "install it: Debian and Ubuntu libvulkan1, Fedora vulkan-loader, Arch vulkan-icd-loader");
  }
  GlobalApi api;
  api.vkGetInstanceProcAddr =
      reinterpret_cast<PFN_vkGetInstanceProcAddr>(dlsym(library, "vkGetInstanceProcAddr"));
  if (api.vkGetInstanceProcAddr == nullptr) throw lacks_function("vkGetInstanceProcAddr");
  const VkInstance handle = nullptr;
  const auto get = api.vkGetInstanceProcAddr;
  HEARTH_VULKAN_GLOBAL(HEARTH_VULKAN_GET)
  return api;
}

InstanceApi load_api(const GlobalApi& global, VkInstance handle) {
  InstanceApi api;
  const auto get = global.vkGetInstanceProcAddr;
  HEARTH_VULKAN_INSTANCE(HEARTH_VULKAN_GET)
  return api;
}

DeviceApi load_api(const InstanceApi& instance, VkDevice handle) {
  DeviceApi api;
  const auto get = instance.vkGetDeviceProcAddr;
  HEARTH_VULKAN_DEVICE(HEARTH_VULKAN_GET)
  return api;
}

#undef HEARTH_VULKAN_GET

std::string name_of(VkResult result) {
  switch (result) {
    case VK_SUCCESS: return "VK_SUCCESS";
    case VK_TIMEOUT: return "VK_TIMEOUT";
    case VK_ERROR_OUT_OF_HOST_MEMORY: return "VK_ERROR_OUT_OF_HOST_MEMORY";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY: return "VK_ERROR_OUT_OF_DEVICE_MEMORY";
    case VK_ERROR_INITIALIZATION_FAILED: return "VK_ERROR_INITIALIZATION_FAILED";
    case VK_ERROR_DEVICE_LOST: return "VK_ERROR_DEVICE_LOST";
    case VK_ERROR_INCOMPATIBLE_DRIVER: return "VK_ERROR_INCOMPATIBLE_DRIVER";
    case VK_ERROR_LAYER_NOT_PRESENT: return "VK_ERROR_LAYER_NOT_PRESENT";
    case VK_ERROR_EXTENSION_NOT_PRESENT: return "VK_ERROR_EXTENSION_NOT_PRESENT";
    case VK_ERROR_FEATURE_NOT_PRESENT: return "VK_ERROR_FEATURE_NOT_PRESENT";
    case VK_ERROR_TOO_MANY_OBJECTS: return "VK_ERROR_TOO_MANY_OBJECTS";
    default: return fmt::format("VkResult {}", static_cast<int>(result));
  }
}

void check(VkResult result, const char* what) {
  if (result == VK_SUCCESS) return;
  const std::string message = fmt::format("{} failed with {}", what, name_of(result));
  if (result == VK_ERROR_DEVICE_LOST || result == VK_TIMEOUT) {
    throw Error(Code::device_lost, message,
                "the driver ended a job of the GPU: see the kernel log (dmesg), update the driver");
  }
  if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY) {
    throw Error(Code::out_of_memory, message, "free memory of the GPU, or use a smaller context");
  }
  throw Error(Code::unsupported, message, "update the graphics driver, or use --device cpu");
}

}  // namespace hearth::vulkan
