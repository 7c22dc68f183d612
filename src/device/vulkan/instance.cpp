// The loader's instance and the description of the physical devices.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "device/vulkan/gpu.h"
#include "device/vulkan/manifests.h"

namespace hearth::vulkan {
namespace {

constexpr const char* validation_layer = "VK_LAYER_KHRONOS_validation";

bool wants_validation() {
  const char* value = std::getenv("HEARTH_VULKAN_VALIDATE");
  return value != nullptr && *value == '1';
}

bool has_layer(const GlobalApi& api) {
  uint32_t count = 0;
  api.vkEnumerateInstanceLayerProperties(&count, nullptr);
  std::vector<VkLayerProperties> layers(count);
  api.vkEnumerateInstanceLayerProperties(&count, layers.data());
  return std::any_of(layers.begin(), layers.end(), [](const VkLayerProperties& l) {
    return std::string_view(l.layerName) == validation_layer;
  });
}

std::vector<std::string> extensions_of(const InstanceApi& api, VkPhysicalDevice device) {
  uint32_t count = 0;
  api.vkEnumerateDeviceExtensionProperties(device, nullptr, &count, nullptr);
  std::vector<VkExtensionProperties> list(count);
  api.vkEnumerateDeviceExtensionProperties(device, nullptr, &count, list.data());
  std::vector<std::string> names;
  names.reserve(list.size());
  for (const VkExtensionProperties& e : list) names.emplace_back(e.extensionName);
  return names;
}

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

ModuleDeviceKind kind_of(VkPhysicalDeviceType type) {
  switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return ModuleDeviceKind::discrete;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return ModuleDeviceKind::integrated;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: return ModuleDeviceKind::virtual_gpu;
    case VK_PHYSICAL_DEVICE_TYPE_CPU: return ModuleDeviceKind::cpu;
    default: return ModuleDeviceKind::other;
  }
}

std::string hex(const uint8_t* bytes, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text += fmt::format("{:02x}", bytes[i]);
  return text;
}

// What a property query fills in, chained.
struct Properties {
  VkPhysicalDevicePCIBusInfoPropertiesEXT pci{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PCI_BUS_INFO_PROPERTIES_EXT};
  VkPhysicalDeviceSubgroupSizeControlProperties sizes{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES};
  VkPhysicalDeviceShaderIntegerDotProductProperties dots{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES};
  MatrixStages matrices;
  VkPhysicalDeviceVulkan11Properties v11{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES};
  VkPhysicalDeviceVulkan12Properties v12{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES};
  VkPhysicalDeviceProperties2 all{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
};

void limits_of(const Properties& p, const VkPhysicalDeviceMemoryProperties& memory, Capabilities& c) {
  const VkPhysicalDeviceLimits& l = p.all.properties.limits;
  // An allocation must fit the driver's cap and the heap it comes from, whichever is smaller.
  uint64_t heap = 0;
  for (uint32_t i = 0; i < memory.memoryHeapCount; ++i) heap = std::max(heap, memory.memoryHeaps[i].size);
  c.largest_allocation = std::min<uint64_t>(p.v11.maxMemoryAllocationSize, heap);
  c.largest_binding = std::min<uint64_t>(l.maxStorageBufferRange, 0xffffff00U);
  c.offset_alignment = static_cast<uint32_t>(std::max<uint64_t>(4, l.minStorageBufferOffsetAlignment));
  c.shared_memory = l.maxComputeSharedMemorySize;
  c.most_invocations = l.maxComputeWorkGroupInvocations;
  std::copy_n(l.maxComputeWorkGroupCount, 3, c.most_groups);
  c.storage_bindings = std::min(l.maxPerStageDescriptorStorageBuffers, l.maxDescriptorSetStorageBuffers);
  c.push_constants = l.maxPushConstantsSize;
  c.timestamp_seconds = static_cast<double>(l.timestampPeriod) * 1e-9;
}

// True if the driver has cooperative matrices.
bool features_of(const InstanceApi& api, VkPhysicalDevice device, const std::vector<std::string>& extensions,
                 Capabilities& c) {
  VkPhysicalDeviceShaderIntegerDotProductFeatures dots{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES};
  VkPhysicalDeviceSubgroupSizeControlFeatures sizes{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES};
  VkPhysicalDeviceVulkan11Features v11{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES};
  VkPhysicalDeviceVulkan12Features v12{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
  VkPhysicalDeviceFeatures2 all{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
  const bool is13 = c.api_version >= VK_API_VERSION_1_3;
  all.pNext = &v11;
  v11.pNext = &v12;
  void** tail = &v12.pNext;
  if (is13 || contains(extensions, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME)) {
    *tail = &dots;
    tail = &dots.pNext;
  }
  if (is13 || contains(extensions, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME)) {
    *tail = &sizes;
    tail = &sizes.pNext;
  }
  MatrixFeatures matrices;
  if (contains(extensions, matrix_extension)) *tail = &matrices;
  api.vkGetPhysicalDeviceFeatures2(device, &all);
  c.storage16 = v11.storageBuffer16BitAccess == VK_TRUE;
  c.dynamic_indexing = all.features.shaderStorageBufferArrayDynamicIndexing == VK_TRUE;
  c.float16 = v12.shaderFloat16 == VK_TRUE;
  c.int8 = v12.shaderInt8 == VK_TRUE;
  c.int_dot = dots.shaderIntegerDotProduct == VK_TRUE;
  c.memory_model = v12.vulkanMemoryModel == VK_TRUE && v12.vulkanMemoryModelDeviceScope == VK_TRUE;
  c.subgroup_size_control = sizes.subgroupSizeControl == VK_TRUE;
  c.full_subgroups = sizes.computeFullSubgroups == VK_TRUE;
  c.memory_budget = contains(extensions, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  return matrices.cooperativeMatrix == VK_TRUE;
}

// What a driver says of subgroups and the matrices that they compute together.
void subgroups_of(const Properties& p, const std::vector<MatrixProperty>& matrices, Capabilities& c) {
  c.subgroup = p.v11.subgroupSize;
  c.subgroup_min = p.sizes.minSubgroupSize;
  c.subgroup_max = p.sizes.maxSubgroupSize;
  c.subgroup_arithmetic = (p.v11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0 &&
                          (p.v11.subgroupSupportedOperations & VK_SUBGROUP_FEATURE_ARITHMETIC_BIT) != 0;
  c.subgroup_size_control =
      c.subgroup_size_control && (p.sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0;
  c.full_subgroups = c.full_subgroups && c.subgroup_size_control;
  const bool computes = (p.matrices.cooperativeMatrixSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0;
  if (computes && c.float16 && c.memory_model) c.matrices = choose_matrices(matrices, c.subgroup);
}

// Why no program can run on the device; empty if it can.
std::string lacks(const Capabilities& c) {
  if (c.api_version < VK_API_VERSION_1_2) {
    return fmt::format("the driver has Vulkan {}.{}, 1.2 is needed", VK_API_VERSION_MAJOR(c.api_version),
                       VK_API_VERSION_MINOR(c.api_version));
  }
  if (!c.storage16) return "no 16-bit storage (storageBuffer16BitAccess)";
  if (!c.dynamic_indexing) return "no arrays of storage buffers (shaderStorageBufferArrayDynamicIndexing)";
  if (c.queue_family == UINT32_MAX) return "no queue that computes";
  if (c.shared_memory < 32768)
    return fmt::format("{} bytes of shared memory, 32768 are needed", c.shared_memory);
  if (c.most_invocations < 128)
    return fmt::format("{} threads in a work group, 128 are needed", c.most_invocations);
  if (c.storage_bindings < 11)
    return fmt::format("{} storage buffers per shader, 11 are needed", c.storage_bindings);
  if (c.push_constants < 128)
    return fmt::format("{} bytes of push constants, 128 are needed", c.push_constants);
  return {};
}

uint32_t compute_family(const InstanceApi& api, VkPhysicalDevice device, Capabilities& c) {
  uint32_t count = 0;
  api.vkGetPhysicalDeviceQueueFamilyProperties(device, &count, nullptr);
  std::vector<VkQueueFamilyProperties> families(count);
  api.vkGetPhysicalDeviceQueueFamilyProperties(device, &count, families.data());
  uint32_t best = UINT32_MAX;
  for (uint32_t i = 0; i < count; ++i) {
    if ((families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) == 0) continue;
    // A queue without graphics does not compete with the desktop.
    const bool pure = (families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT) == 0;
    if (best == UINT32_MAX || pure) {
      best = i;
      c.timestamp_bits = families[i].timestampValidBits;
    }
    if (pure) break;
  }
  c.timestamps = c.timestamp_bits != 0;
  return best;
}

std::vector<std::string> feature_names(const Capabilities& c) {
  std::vector<std::string> names;
  if (c.subgroup_arithmetic) names.emplace_back("subgroup");
  if (c.int_dot) names.emplace_back("int_dot");
  if (c.float16) names.emplace_back("float16");
  if (c.matrices) names.emplace_back("coopmat");
  if (c.memory_budget) names.emplace_back("memory_budget");
  return names;
}

ModuleDevice description_of(const Properties& p, const Capabilities& c, bool pci, size_t number) {
  ModuleDevice d;
  d.name = fmt::format("vulkan{}", number);
  d.description = p.all.properties.deviceName;
  d.key = pci ? fmt::format("{:04x}:{:02x}:{:02x}.{}", p.pci.pciDomain, p.pci.pciBus, p.pci.pciDevice,
                            p.pci.pciFunction)
              : hex(p.v11.deviceUUID, VK_UUID_SIZE);
  d.driver = fmt::format("{} {}", p.v12.driverName, p.v12.driverInfo);
  d.kind = kind_of(p.all.properties.deviceType);
  d.vendor_id = p.all.properties.vendorID;
  d.device_id = p.all.properties.deviceID;
  d.largest_allocation = c.largest_allocation;
  d.layer_cache = layer_cache(c);
  d.features = feature_names(c);
  d.lacks = lacks(c);
  return d;
}

}  // namespace

PieceLimit layer_cache(const Capabilities& limits) noexcept {
  constexpr uint64_t most_piece = 1ULL << 30;
  return {std::min({most_piece, limits.largest_allocation, limits.largest_binding}), cache_bindings};
}

std::vector<MemoryHeap> heaps_of(const InstanceApi& api, VkPhysicalDevice device, bool budget) {
  VkPhysicalDeviceMemoryBudgetPropertiesEXT free{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
  VkPhysicalDeviceMemoryProperties2 all{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
  if (budget) all.pNext = &free;
  api.vkGetPhysicalDeviceMemoryProperties2(device, &all);
  const VkPhysicalDeviceMemoryProperties& m = all.memoryProperties;
  std::vector<MemoryHeap> heaps(m.memoryHeapCount);
  for (uint32_t i = 0; i < m.memoryHeapCount; ++i) {
    heaps[i].bytes = m.memoryHeaps[i].size;
    heaps[i].free = budget && free.heapBudget[i] != 0
                        ? free.heapBudget[i] - std::min(free.heapBudget[i], free.heapUsage[i])
                        : heaps[i].bytes;
    heaps[i].device_local = (m.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0;
  }
  for (uint32_t i = 0; i < m.memoryTypeCount; ++i) {
    if ((m.memoryTypes[i].propertyFlags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) != 0)
      heaps[m.memoryTypes[i].heapIndex].host_visible = true;
  }
  return heaps;
}

Instance::Instance() : global_(load_api()) {
  uint32_t version = VK_API_VERSION_1_0;
  global_.vkEnumerateInstanceVersion(&version);
  if (version < VK_API_VERSION_1_2) {
    throw Error(Code::unsupported, "the Vulkan loader is older than 1.2", "update libvulkan1");
  }
  const bool validate = wants_validation();
  if (validate && !has_layer(global_)) {
    throw Error(Code::not_found, "HEARTH_VULKAN_VALIDATE is set and there is no validation layer",
                "install vulkan-validationlayers");
  }
  VkApplicationInfo app{VK_STRUCTURE_TYPE_APPLICATION_INFO};
  app.pApplicationName = app.pEngineName = "hearth";
  app.apiVersion = std::min<uint32_t>(version, VK_API_VERSION_1_3);
  VkInstanceCreateInfo info{VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
  info.pApplicationInfo = &app;
  const char* extension = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
  if (validate) {
    info.enabledLayerCount = 1;
    info.ppEnabledLayerNames = &validation_layer;
    info.enabledExtensionCount = 1;
    info.ppEnabledExtensionNames = &extension;
  }
  const VkResult result = global_.vkCreateInstance(&info, nullptr, &instance_);
  if (result == VK_ERROR_INCOMPATIBLE_DRIVER) {
    if (const std::string broken = drivers_that_do_not_load(); !broken.empty()) {
      throw Error(
          Code::not_found, fmt::format("no Vulkan driver can be loaded: {}", broken),
          "install the library that is missing (in a container into its image); NVIDIA's driver needs "
          "X11's: Debian and Ubuntu libx11-6 libxext6");
    }
    throw Error(
        Code::not_found, "there is no Vulkan driver (VK_ERROR_INCOMPATIBLE_DRIVER)",
        "install one: Debian and Ubuntu mesa-vulkan-drivers, or NVIDIA's driver; look at VK_DRIVER_FILES "
        "and VK_ICD_FILENAMES");
  }
  if (result != VK_SUCCESS) {
    throw Error(Code::device_lost, fmt::format("the Vulkan driver does not start: {}", name_of(result)),
                "update or reinstall the graphics driver");
  }
  api_ = load_api(global_, instance_);
  if (validate) listen();
}

void Instance::listen() {
  const auto create = reinterpret_cast<PFN_vkCreateDebugUtilsMessengerEXT>(
      global_.vkGetInstanceProcAddr(instance_, "vkCreateDebugUtilsMessengerEXT"));
  if (create == nullptr) return;
  VkDebugUtilsMessengerCreateInfoEXT info{VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT};
  info.messageSeverity =
      VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
  info.messageType =
      VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT;
  info.pUserData = this;
  info.pfnUserCallback = [](VkDebugUtilsMessageSeverityFlagBitsEXT, VkDebugUtilsMessageTypeFlagsEXT,
                            const VkDebugUtilsMessengerCallbackDataEXT* data, void* self) -> VkBool32 {
    auto* instance = static_cast<Instance*>(self);
    const std::lock_guard guard(instance->lock_);
    instance->complaints_.emplace_back(data->pMessage);
    return VK_FALSE;
  };
  check(create(instance_, &info, nullptr, &messenger_), "vkCreateDebugUtilsMessengerEXT");
}

Instance::~Instance() {
  if (messenger_ != nullptr) {
    const auto destroy = reinterpret_cast<PFN_vkDestroyDebugUtilsMessengerEXT>(
        global_.vkGetInstanceProcAddr(instance_, "vkDestroyDebugUtilsMessengerEXT"));
    destroy(instance_, messenger_, nullptr);
  }
  if (instance_ != nullptr) api_.vkDestroyInstance(instance_, nullptr);
}

std::vector<std::string> Instance::complaints() const {
  const std::lock_guard guard(lock_);
  return complaints_;
}

std::vector<PhysicalDevice> Instance::devices() const {
  uint32_t count = 0;
  check(api_.vkEnumeratePhysicalDevices(instance_, &count, nullptr), "vkEnumeratePhysicalDevices");
  std::vector<VkPhysicalDevice> handles(count);
  check(api_.vkEnumeratePhysicalDevices(instance_, &count, handles.data()), "vkEnumeratePhysicalDevices");
  std::vector<PhysicalDevice> devices;
  for (const VkPhysicalDevice handle : handles) {
    PhysicalDevice d;
    d.handle = handle;
    const auto extensions = extensions_of(api_, handle);
    Properties p;
    // Asked first, because the structures below are unknown to a driver of Vulkan 1.1.
    api_.vkGetPhysicalDeviceProperties2(handle, &p.all);
    Capabilities& c = d.capabilities;
    c.api_version = p.all.properties.apiVersion;
    std::vector<MatrixProperty> matrices;
    const bool pci = contains(extensions, VK_EXT_PCI_BUS_INFO_EXTENSION_NAME);
    if (c.api_version >= VK_API_VERSION_1_2) {
      p.all.pNext = &p.v11;
      p.v11.pNext = &p.v12;
      void** tail = &p.v12.pNext;
      const auto chain = [&](auto& s) {
        *tail = &s;
        tail = &s.pNext;
      };
      const bool is13 = c.api_version >= VK_API_VERSION_1_3;
      if (pci) chain(p.pci);
      if (is13 || contains(extensions, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME)) chain(p.sizes);
      if (contains(extensions, matrix_extension)) chain(p.matrices);
      api_.vkGetPhysicalDeviceProperties2(handle, &p.all);
      if (features_of(api_, handle, extensions, c))
        matrices = matrix_properties(global_.vkGetInstanceProcAddr, instance_, handle);
    }
    VkPhysicalDeviceMemoryProperties2 memory{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
    api_.vkGetPhysicalDeviceMemoryProperties2(handle, &memory);
    d.memory = memory.memoryProperties;
    d.properties = p.all.properties;
    std::memcpy(d.cache_id, p.all.properties.pipelineCacheUUID, VK_UUID_SIZE);
    limits_of(p, d.memory, c);
    subgroups_of(p, matrices, c);
    c.queue_family = compute_family(api_, handle, c);
    d.description = description_of(p, c, pci, devices.size());
    d.description.heaps = heaps_of(api_, handle, c.memory_budget);
    devices.push_back(std::move(d));
  }
  return devices;
}

}  // namespace hearth::vulkan
