#pragma once

#include <memory>
#include <vector>

#include "device/device.h"
#include "device/vulkan/memory.h"
#include "device/vulkan/pipelines.h"
#include "device/vulkan/recorder.h"
#include "device/vulkan/variants.h"
#include "device/vulkan/weights.h"
#include "device/vulkan/workspace.h"

namespace hearth::vulkan {

// A logical device with its pipelines: opened once per process, shared by all that compute on it.
struct Driver {
  Driver(std::shared_ptr<Instance> instance, const PhysicalDevice& device);

  Gpu gpu;
  PipelineFile file;
  Pipelines pipelines;
  PipelineFile choice;  // which variants were the fastest (trial.h)
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
  // `aim`: seconds that a submission may take.
  VulkanDevice(std::shared_ptr<Driver> driver, const Variants& variants, double aim);
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

  // Submissions of the last step that was waited for.
  uint32_t submissions() const { return submissions_; }
  void note_submissions(uint32_t count) { submissions_ = count; }

  // What executables use.
  Driver& driver() const { return *driver_; }
  const Variants& variants() const { return variants_; }
  double aim() const { return aim_; }
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
  // `packed`: as pack() puts them (weights.h).
  void upload(uint64_t at, std::span<const std::byte> bytes, bool packed = false);
  void copy_now(const Range& from, const Range& to);

  std::shared_ptr<Driver> driver_;
  Variants variants_;
  double aim_;
  DeviceInfo info_;
  Residence residence_;
  Blocks weights_;
  std::vector<WeightView> views_;
  std::vector<KvGroup> kv_;
  Buffer arena_, scratch_, staging_, results_;
  VkCommandPool pool_ = nullptr;
  uint32_t submissions_ = 0;
};

}  // namespace hearth::vulkan
