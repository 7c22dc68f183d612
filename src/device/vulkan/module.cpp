#include "device/vulkan/vulkan_module.h"

#include <fmt/format.h>

#include "base/error.h"
#include "device/vulkan/trial.h"

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

std::shared_ptr<Driver> VulkanModule::driver(uint32_t index) {
  auto& driver = drivers_[index];
  if (driver == nullptr) {
    const auto devices = instance().devices();
    if (index >= devices.size()) {
      throw Error(Code::not_found, fmt::format("there is no device vulkan{}", index),
                  fmt::format("this machine has {} Vulkan devices", devices.size()));
    }
    driver = std::make_shared<Driver>(instance_, devices[index]);
  }
  return driver;
}

std::unique_ptr<Device> VulkanModule::open(uint32_t index, const OpenOptions& options) {
  const auto opened = driver(index);
  const VariantWish wish = wished_variants();
  Variants variants = variants_of(opened->gpu.physical(), wish);
  // A processor has no dot products of its own to find, and takes seconds to compile for a trial.
  const bool gpu = opened->gpu.physical().description.kind != ModuleDeviceKind::cpu;
  if (options.exact) {
    variants.integer_rows = variants.integer_prompts = variants.matrix_prompts = false;
  } else if (gpu && !wish.plain && !wish.integers && !wish.matrices && !wish.rows) {
    variants = measured_variants(opened, variants, opened->choice);
  }
  return std::make_unique<VulkanDevice>(opened, variants, Clock::usual_aim / (1U << options.halvings));
}

}  // namespace hearth::vulkan
