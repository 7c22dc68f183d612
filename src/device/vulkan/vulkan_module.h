#pragma once

#include <map>
#include <memory>

#include "device/module.h"
#include "device/vulkan/vulkan_device.h"

namespace hearth::vulkan {

// A driver that was opened once stays open: a worker opens its device, enters the sandbox, and opens it
// again.
class VulkanModule final : public Module {
 public:
  // Throws Error(not_found) without a loader library.
  VulkanModule();

  std::vector<ModuleDevice> devices() override;
  std::unique_ptr<Device> open(uint32_t index, const OpenOptions& options) override;

  // Throws Error(not_found) where there is no such device.
  std::shared_ptr<Driver> driver(uint32_t index);

  Instance& instance();

 private:
  std::shared_ptr<Instance> instance_;
  std::map<uint32_t, std::shared_ptr<Driver>> drivers_;
};

}  // namespace hearth::vulkan
