#pragma once

#include <memory>
#include <vector>

#include "device/device.h"
#include "device/vulkan/memory.h"
#include "device/vulkan/pipelines.h"
#include "device/vulkan/weights.h"
#include "device/vulkan/workspace.h"

namespace hearth::vulkan {

// A logical device with its pipelines: opened once per process, shared by all that compute on it.
struct Driver {
  Driver(std::shared_ptr<Instance> instance, const PhysicalDevice& device);

  Gpu gpu;
  PipelineFile file;
  Pipelines pipelines;
  // Which variants are used; tests ask for others.
  bool subgroups;  // products sum by subgroup arithmetic; HEARTH_VULKAN_PLAIN=1 forbids it
  bool compact;    // attention with its loops kept, for drivers that compile for the CPU
};

// Keys and values of one cache group, layer by layer; a layer lies in one to four buffers of whole pages.
struct KvGroup {
  CacheProfile profile;
  KvTypes types;
  uint32_t pages = 0, pages_each = 1;
  uint64_t layer_page = 0;
  std::vector<std::vector<Buffer>> layers;
};

class VulkanDevice final : public Device {
 public:
  explicit VulkanDevice(std::shared_ptr<Driver> driver);
  ~VulkanDevice() override;

  const DeviceInfo& info() const noexcept override { return info_; }
  std::optional<Refusal> refuse(const Op& op, const Program& program, KvTypes kv) const override;
  uint64_t workspace(const Program& program, uint32_t rows) const override;
  uint64_t resident(const Program& program) const override;
  void reserve(const DeviceBuffers& plan, const Program& program) override;
  uint64_t reserved() const noexcept override;
  void load(Weight weight, const WeightView& view) override;
  std::unique_ptr<Executable> prepare(const Program& program, const Layout& layout) override;
  void copy_page(uint32_t group, PageId from, PageId to) override;

  // What executables use.
  Driver& driver() const { return *driver_; }
  const Residence& residence() const { return residence_; }
  const Blocks& weights() const { return weights_; }
  const WeightView& view(Weight w) const { return views_[w.id - 1]; }
  const KvGroup& kv(uint32_t group) const { return kv_[group]; }
  const Buffer& arena() const { return arena_; }
  const Buffer& scratch() const { return scratch_; }
  const Buffer& staging() const { return staging_; }
  const Buffer& results() const { return results_; }

 private:
  void reserve_cache(const DeviceBuffers& plan, const Program& program);
  void upload(uint64_t at, std::span<const std::byte> bytes);
  void copy_now(const Range& from, const Range& to);

  std::shared_ptr<Driver> driver_;
  DeviceInfo info_;
  Residence residence_;
  Blocks weights_;
  std::vector<WeightView> views_;
  std::vector<KvGroup> kv_;
  Buffer arena_, scratch_, staging_, results_;
  VkCommandPool pool_ = nullptr;
};

}  // namespace hearth::vulkan
