#include "device/vulkan/vulkan_module.h"

#include <fmt/format.h>

#include "base/error.h"

namespace hearth::vulkan {

VulkanModule::VulkanModule() { load_api(); }

Instance& VulkanModule::instance() {
  if (instance_ == nullptr) instance_ = std::make_shared<Instance>();
  return *instance_;
}

std::vector<ModuleDevice> VulkanModule::devices() {
  std::vector<ModuleDevice> list;
  for (PhysicalDevice& d : instance().devices()) list.push_back(std::move(d.description));
  return list;
}

std::unique_ptr<Device> VulkanModule::open(uint32_t index) {
  auto& driver = drivers_[index];
  if (driver == nullptr) {
    const auto devices = instance().devices();
    if (index >= devices.size()) {
      throw Error(Code::not_found, fmt::format("there is no device vulkan{}", index),
                  fmt::format("this machine has {} Vulkan devices", devices.size()));
    }
    driver = std::make_shared<Driver>(instance_, devices[index]);
  }
  return std::make_unique<VulkanDevice>(driver);
}

}  // namespace hearth::vulkan
