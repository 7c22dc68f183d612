#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "device/module.h"
#include "device/vulkan/api.h"
#include "device/vulkan/matrices.h"

// The driver: what it offers, and one logical device of it.
namespace hearth::vulkan {

// What kernels may be chosen by, and the limits that cut their work.
struct Capabilities {
  uint32_t api_version = 0;
  bool storage16 = false, dynamic_indexing = false;  // needed
  bool int_dot = false, float16 = false, int8 = false, memory_model = false;
  bool subgroup_arithmetic = false, subgroup_size_control = false, full_subgroups = false;
  uint32_t subgroup = 0, subgroup_min = 0, subgroup_max = 0;
  std::optional<MatrixTiling> matrices;  // cooperative matrices of a size that is used, with all they need
  bool memory_budget = false, timestamps = false;
  double timestamp_seconds = 0;  // per tick
  uint32_t timestamp_bits = 0;
  uint64_t largest_allocation = 0, largest_binding = 0;
  uint32_t offset_alignment = 1;
  uint32_t shared_memory = 0, most_invocations = 0, most_groups[3] = {};
  uint32_t storage_bindings = 0, push_constants = 0;
  uint32_t queue_family = 0;
};

// The keys and values of one layer may have so many bindings, each an allocation of its own.
inline constexpr uint32_t cache_bindings = 4;
PieceLimit layer_cache(const Capabilities& limits) noexcept;

// A physical device as enumerated.
struct PhysicalDevice {
  VkPhysicalDevice handle = nullptr;
  VkPhysicalDeviceProperties properties{};
  VkPhysicalDeviceMemoryProperties memory{};
  Capabilities capabilities;
  ModuleDevice description;
  uint8_t cache_id[VK_UUID_SIZE] = {};  // of pipelines: changes with driver and chip
};

// The loader and an instance of it. HEARTH_VULKAN_VALIDATE=1 asks for the validation layer and keeps what it
// says.
class Instance {
 public:
  // Throws Error(not_found): no loader, no driver; Error(device_lost): the driver fails.
  Instance();
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  const InstanceApi& api() const noexcept { return api_; }
  bool validating() const noexcept { return messenger_ != nullptr; }
  // In the driver's order, named "vulkan<number>".
  std::vector<PhysicalDevice> devices() const;
  // What the validation layer has said so far; empty without it.
  std::vector<std::string> complaints() const;

 private:
  void listen();

  GlobalApi global_;
  InstanceApi api_;
  VkInstance instance_ = nullptr;
  VkDebugUtilsMessengerEXT messenger_ = nullptr;
  mutable std::mutex lock_;
  std::vector<std::string> complaints_;
};

// A logical device with one compute queue.
class Gpu {
 public:
  // Throws Error(unsupported) naming what the device lacks, Error(device_lost).
  Gpu(std::shared_ptr<Instance> instance, PhysicalDevice physical);
  ~Gpu();
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  const DeviceApi& api() const noexcept { return api_; }
  VkDevice handle() const noexcept { return device_; }
  VkQueue queue() const noexcept { return queue_; }
  const PhysicalDevice& physical() const noexcept { return physical_; }
  const Capabilities& capabilities() const noexcept { return physical_.capabilities; }
  const Instance& instance() const noexcept { return *instance_; }
  // Heaps with what is free in each now.
  std::vector<MemoryHeap> heaps() const;

 private:
  std::shared_ptr<Instance> instance_;
  PhysicalDevice physical_;
  DeviceApi api_;
  VkDevice device_ = nullptr;
  VkQueue queue_ = nullptr;
};

}  // namespace hearth::vulkan
