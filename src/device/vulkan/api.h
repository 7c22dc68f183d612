#pragma once

// The Vulkan functions that are used, loaded at run time: nothing links against the loader library.
#define VK_NO_PROTOTYPES
#include <vulkan/vulkan.h>

#include <string>

namespace hearth::vulkan {

// Functions that need no instance, an instance, a device.
#define HEARTH_VULKAN_GLOBAL(X)         \
  X(vkCreateInstance)                   \
  X(vkEnumerateInstanceVersion)         \
  X(vkEnumerateInstanceLayerProperties) \
  X(vkEnumerateInstanceExtensionProperties)
#define HEARTH_VULKAN_INSTANCE(X)             \
  X(vkDestroyInstance)                        \
  X(vkEnumeratePhysicalDevices)               \
  X(vkGetPhysicalDeviceProperties2)           \
  X(vkGetPhysicalDeviceFeatures2)             \
  X(vkGetPhysicalDeviceMemoryProperties2)     \
  X(vkGetPhysicalDeviceQueueFamilyProperties) \
  X(vkEnumerateDeviceExtensionProperties)     \
  X(vkCreateDevice)                           \
  X(vkGetDeviceProcAddr)
#define HEARTH_VULKAN_DEVICE(X)    \
  X(vkDestroyDevice)               \
  X(vkGetDeviceQueue)              \
  X(vkCreateBuffer)                \
  X(vkDestroyBuffer)               \
  X(vkGetBufferMemoryRequirements) \
  X(vkAllocateMemory)              \
  X(vkFreeMemory)                  \
  X(vkBindBufferMemory)            \
  X(vkMapMemory)                   \
  X(vkCreateShaderModule)          \
  X(vkDestroyShaderModule)         \
  X(vkCreateDescriptorSetLayout)   \
  X(vkDestroyDescriptorSetLayout)  \
  X(vkCreatePipelineLayout)        \
  X(vkDestroyPipelineLayout)       \
  X(vkCreatePipelineCache)         \
  X(vkGetPipelineCacheData)        \
  X(vkDestroyPipelineCache)        \
  X(vkCreateComputePipelines)      \
  X(vkDestroyPipeline)             \
  X(vkCreateDescriptorPool)        \
  X(vkDestroyDescriptorPool)       \
  X(vkAllocateDescriptorSets)      \
  X(vkUpdateDescriptorSets)        \
  X(vkCreateCommandPool)           \
  X(vkDestroyCommandPool)          \
  X(vkResetCommandPool)            \
  X(vkAllocateCommandBuffers)      \
  X(vkBeginCommandBuffer)          \
  X(vkEndCommandBuffer)            \
  X(vkCmdBindPipeline)             \
  X(vkCmdBindDescriptorSets)       \
  X(vkCmdPushConstants)            \
  X(vkCmdDispatch)                 \
  X(vkCmdPipelineBarrier)          \
  X(vkCmdCopyBuffer)               \
  X(vkCmdFillBuffer)               \
  X(vkCreateQueryPool)             \
  X(vkDestroyQueryPool)            \
  X(vkCmdResetQueryPool)           \
  X(vkCmdWriteTimestamp)           \
  X(vkGetQueryPoolResults)         \
  X(vkCreateFence)                 \
  X(vkDestroyFence)                \
  X(vkResetFences)                 \
  X(vkWaitForFences)               \
  X(vkQueueSubmit)                 \
  X(vkDeviceWaitIdle)

#define HEARTH_VULKAN_MEMBER(name) PFN_##name name = nullptr;
struct GlobalApi {
  PFN_vkGetInstanceProcAddr vkGetInstanceProcAddr = nullptr;
  HEARTH_VULKAN_GLOBAL(HEARTH_VULKAN_MEMBER)
};
struct InstanceApi {
  HEARTH_VULKAN_INSTANCE(HEARTH_VULKAN_MEMBER)
};
struct DeviceApi {
  HEARTH_VULKAN_DEVICE(HEARTH_VULKAN_MEMBER)
};
#undef HEARTH_VULKAN_MEMBER

// Opens libvulkan.so.1, which stays open as long as the process. Throws Error(not_found) where there is none.
GlobalApi load_api();
InstanceApi load_api(const GlobalApi& global, VkInstance instance);
DeviceApi load_api(const InstanceApi& api, VkDevice device);

// "VK_ERROR_DEVICE_LOST", for messages.
std::string name_of(VkResult result);

// Throws Error(device_lost), Error(out_of_memory) or Error(unsupported) naming `what` unless it is
// VK_SUCCESS.
void check(VkResult result, const char* what);

}  // namespace hearth::vulkan
