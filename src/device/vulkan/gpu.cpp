#include "device/vulkan/gpu.h"

#include <fmt/format.h>

#include "base/error.h"

namespace hearth::vulkan {

std::vector<MemoryHeap> heaps_of(const InstanceApi& api, VkPhysicalDevice device, bool budget);

Gpu::Gpu(std::shared_ptr<Instance> instance, PhysicalDevice physical)
    : instance_(std::move(instance)), physical_(std::move(physical)) {
  const ModuleDevice& d = physical_.description;
  if (!d.lacks.empty()) {
    throw Error(Code::unsupported, fmt::format("{} ({}) cannot be used: {}", d.name, d.description, d.lacks),
                "update the graphics driver, or use --device cpu");
  }
  const Capabilities& c = physical_.capabilities;
  const float priority = 1;
  VkDeviceQueueCreateInfo queue{VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
  queue.queueFamilyIndex = c.queue_family;
  queue.queueCount = 1;
  queue.pQueuePriorities = &priority;
  VkPhysicalDeviceSubgroupSizeControlFeatures sizes{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES};
  sizes.subgroupSizeControl = VK_TRUE;
  sizes.computeFullSubgroups = c.full_subgroups ? VK_TRUE : VK_FALSE;
  VkPhysicalDeviceVulkan11Features v11{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES};
  v11.storageBuffer16BitAccess = VK_TRUE;
  VkPhysicalDeviceShaderIntegerDotProductFeatures dots{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES};
  dots.shaderIntegerDotProduct = VK_TRUE;
  VkPhysicalDeviceVulkan12Features v12{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
  // With the memory model, atomic operations of the other shaders need the scope of a device too.
  v12.shaderFloat16 = v12.vulkanMemoryModel = v12.vulkanMemoryModelDeviceScope = VK_TRUE;
  MatrixFeatures matrices;
  matrices.cooperativeMatrix = VK_TRUE;
  VkPhysicalDeviceFeatures2 features{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
  features.features.shaderStorageBufferArrayDynamicIndexing = VK_TRUE;
  features.pNext = &v11;
  std::vector<const char*> extensions;
  if (c.memory_budget) extensions.push_back(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  void** tail = &v11.pNext;
  const bool is13 = c.api_version >= VK_API_VERSION_1_3;
  if (c.subgroup_size_control) {
    *tail = &sizes;
    tail = &sizes.pNext;
    if (!is13) extensions.push_back(VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
  }
  if (c.int_dot) {
    *tail = &dots;
    tail = &dots.pNext;
    if (!is13) extensions.push_back(VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME);
  }
  if (c.matrices) {
    *tail = &v12;
    v12.pNext = &matrices;
    extensions.push_back(matrix_extension);
  }
  VkDeviceCreateInfo info{VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO};
  info.pNext = &features;
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queue;
  info.enabledExtensionCount = static_cast<uint32_t>(extensions.size());
  info.ppEnabledExtensionNames = extensions.data();
  check(instance_->api().vkCreateDevice(physical_.handle, &info, nullptr, &device_), "vkCreateDevice");
  api_ = load_api(instance_->api(), device_);
  api_.vkGetDeviceQueue(device_, c.queue_family, 0, &queue_);
}

Gpu::~Gpu() {
  if (device_ != nullptr) api_.vkDestroyDevice(device_, nullptr);
}

std::vector<MemoryHeap> Gpu::heaps() const {
  return heaps_of(instance_->api(), physical_.handle, capabilities().memory_budget);
}

}  // namespace hearth::vulkan
