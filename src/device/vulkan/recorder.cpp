#include "device/vulkan/recorder.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/error.h"

namespace hearth::vulkan {
namespace {

constexpr uint32_t most_stamps = 8192;
constexpr uint64_t patience_ns = 600'000'000'000;  // of a whole step; a driver's own watchdog is faster

}  // namespace

double Clock::seconds(const std::array<double, 4>& units) const {
  double sum = 0;
  for (size_t i = 0; i < units.size(); ++i) sum += units[i] * per_unit_[i];
  return sum;
}

void Clock::learn(const std::array<double, 4>& units, double measured) {
  const double estimate = seconds(units);
  if (estimate <= 0 || measured <= 0) return;
  for (size_t i = 0; i < units.size(); ++i) {
    const double share = units[i] * per_unit_[i] / estimate;
    // Faster is believed slowly, slower at once: a submission that is too long may cost the device.
    const double ratio = std::clamp(measured / estimate, 0.5, 64.0);
    per_unit_[i] = std::clamp(per_unit_[i] * std::pow(ratio, share), 1e-15, 1e-6);
  }
}

Recorder::Recorder(const Gpu& gpu, VkPipelineLayout layout, double aim)
    : gpu_(gpu), layout_(layout), clock_(aim) {
  const DeviceApi& api = gpu_.api();
  VkCommandPoolCreateInfo pool{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
  pool.queueFamilyIndex = gpu_.capabilities().queue_family;
  check(api.vkCreateCommandPool(gpu_.handle(), &pool, nullptr, &pool_), "vkCreateCommandPool");
  VkFenceCreateInfo fence{VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
  check(api.vkCreateFence(gpu_.handle(), &fence, nullptr, &fence_), "vkCreateFence");
  if (!gpu_.capabilities().timestamps) return;
  VkQueryPoolCreateInfo queries{VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO};
  queries.queryType = VK_QUERY_TYPE_TIMESTAMP;
  queries.queryCount = most_stamps;
  check(api.vkCreateQueryPool(gpu_.handle(), &queries, nullptr, &queries_), "vkCreateQueryPool");
}

Recorder::~Recorder() {
  const DeviceApi& api = gpu_.api();
  if (pending_ || recording_) api.vkDeviceWaitIdle(gpu_.handle());
  if (queries_ != nullptr) api.vkDestroyQueryPool(gpu_.handle(), queries_, nullptr);
  api.vkDestroyFence(gpu_.handle(), fence_, nullptr);
  api.vkDestroyCommandPool(gpu_.handle(), pool_, nullptr);
}

void Recorder::begin(bool trace) {
  wait();
  check(gpu_.api().vkResetCommandPool(gpu_.handle(), pool_, 0), "vkResetCommandPool");
  used_ = stamps_ = 0;
  behind_ = copied_ = false;
  trace_ = trace && queries_ != nullptr;
  first_stamp_.clear();
  ops_.clear();
  open();
}

void Recorder::open() {
  const DeviceApi& api = gpu_.api();
  if (used_ == submissions_.size()) {
    VkCommandBufferAllocateInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
    info.commandPool = pool_;
    info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    info.commandBufferCount = 1;
    submissions_.emplace_back();
    check(api.vkAllocateCommandBuffers(gpu_.handle(), &info, &submissions_.back().commands),
          "vkAllocateCommandBuffers");
  }
  Submission& s = submissions_[used_++];
  s.units = {};
  s.estimate = 0;
  const VkCommandBufferBeginInfo begin{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  check(api.vkBeginCommandBuffer(s.commands, &begin), "vkBeginCommandBuffer");
  recording_ = true;
  if (used_ == 1 && queries_ != nullptr) api.vkCmdResetQueryPool(s.commands, queries_, 0, most_stamps);
  first_stamp_.push_back(stamps_);
  timestamp();
}

void Recorder::timestamp() {
  if (queries_ == nullptr || stamps_ >= most_stamps) return;
  gpu_.api().vkCmdWriteTimestamp(submissions_[used_ - 1].commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT,
                                 queries_, stamps_++);
}

void Recorder::dispatch(VkPipeline pipeline, VkDescriptorSet set, const void* push, uint32_t push_bytes,
                        uint32_t x, uint32_t y, uint32_t z, Work work) {
  if (x == 0 || y == 0 || z == 0) return;
  Submission& s = submissions_[used_ - 1];
  const DeviceApi& api = gpu_.api();
  api.vkCmdBindPipeline(s.commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
  api.vkCmdBindDescriptorSets(s.commands, VK_PIPELINE_BIND_POINT_COMPUTE, layout_, 0, 1, &set, 0, nullptr);
  api.vkCmdPushConstants(s.commands, layout_, VK_SHADER_STAGE_COMPUTE_BIT, 0, push_bytes, push);
  api.vkCmdDispatch(s.commands, x, y, z);
  s.units[static_cast<size_t>(work.pace)] += work.units;
  s.estimate += clock_.seconds(work);
}

void Recorder::copy(const Range& from, const Range& to) {
  if (from.bytes == 0) return;
  constexpr VkPipelineStageFlags before =
      VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
  if (behind_) wait_for(before, VK_PIPELINE_STAGE_TRANSFER_BIT);
  copied_ = true;
  const VkBufferCopy region{from.offset, to.offset, from.bytes};
  gpu_.api().vkCmdCopyBuffer(submissions_[used_ - 1].commands, from.buffer, to.buffer, 1, &region);
}

void Recorder::barrier() {
  if (submissions_[used_ - 1].estimate >= clock_.aim()) {
    close(false);
    open();
  }
  // No more stages than need be: a dispatch that also waits for copies, or makes the host see what it wrote,
  // waits longer.
  VkPipelineStageFlags before = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT;
  if (copied_) before |= VK_PIPELINE_STAGE_TRANSFER_BIT;
  copied_ = false;
  behind_ = true;
  wait_for(before, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT);
}

void Recorder::wait_for(VkPipelineStageFlags before, VkPipelineStageFlags after) {
  VkMemoryBarrier memory{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
  if ((before & VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT) != 0)
    memory.srcAccessMask |= VK_ACCESS_SHADER_WRITE_BIT;
  if ((before & VK_PIPELINE_STAGE_TRANSFER_BIT) != 0) memory.srcAccessMask |= VK_ACCESS_TRANSFER_WRITE_BIT;
  if ((after & VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT) != 0)
    memory.dstAccessMask |= VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT;
  if ((after & VK_PIPELINE_STAGE_TRANSFER_BIT) != 0)
    memory.dstAccessMask |= VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
  if ((after & VK_PIPELINE_STAGE_HOST_BIT) != 0) memory.dstAccessMask |= VK_ACCESS_HOST_READ_BIT;
  gpu_.api().vkCmdPipelineBarrier(submissions_[used_ - 1].commands, before, after, 0, 1, &memory, 0, nullptr,
                                  0, nullptr);
}

void Recorder::mark(uint32_t op) {
  if (!trace_ || stamps_ >= most_stamps) return;
  ops_.emplace_back(stamps_, op);
  timestamp();
}

void Recorder::close(bool last) {
  timestamp();
  Submission& s = submissions_[used_ - 1];
  const DeviceApi& api = gpu_.api();
  check(api.vkEndCommandBuffer(s.commands), "vkEndCommandBuffer");
  recording_ = false;
  hand_in(s, last);
}

void Recorder::hand_in(const Submission& submission, bool last) {
  VkSubmitInfo submit{VK_STRUCTURE_TYPE_SUBMIT_INFO};
  submit.commandBufferCount = 1;
  submit.pCommandBuffers = &submission.commands;
  check(gpu_.api().vkQueueSubmit(gpu_.queue(), 1, &submit, last ? fence_ : nullptr), "vkQueueSubmit");
}

bool Recorder::repeat() {
  if (used_ != 1 || trace_ || clock_.seconds(submissions_.front().units) >= clock_.aim()) return false;
  wait();
  hand_in(submissions_.front(), true);
  pending_ = true;
  return true;
}

void Recorder::submit() {
  wait_for(VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT);
  close(true);
  pending_ = true;
}

void Recorder::wait() {
  if (!pending_) return;
  pending_ = false;
  const DeviceApi& api = gpu_.api();
  check(api.vkWaitForFences(gpu_.handle(), 1, &fence_, VK_TRUE, patience_ns), "waiting for the GPU");
  check(api.vkResetFences(gpu_.handle(), 1, &fence_), "vkResetFences");
  learn();
}

void Recorder::learn() {
  marks_.clear();
  longest_ = 0;
  if (queries_ == nullptr || stamps_ < 2) return;
  std::vector<uint64_t> at(stamps_);
  if (gpu_.api().vkGetQueryPoolResults(gpu_.handle(), queries_, 0, stamps_, at.size() * 8, at.data(), 8,
                                       VK_QUERY_RESULT_64_BIT) != VK_SUCCESS) {
    return;
  }
  const Capabilities& c = gpu_.capabilities();
  const uint64_t mask = c.timestamp_bits >= 64 ? ~0ULL : (1ULL << c.timestamp_bits) - 1;
  const auto seconds = [&](uint32_t from, uint32_t to) {
    return static_cast<double>((at[to] - at[from]) & mask) * c.timestamp_seconds;
  };
  for (uint32_t i = 0; i < used_; ++i) {
    const uint32_t end = (i + 1 < used_ ? first_stamp_[i + 1] : stamps_) - 1;
    if (first_stamp_[i] >= end) continue;
    const double took = seconds(first_stamp_[i], end);
    longest_ = std::max(longest_, took);
    clock_.learn(submissions_[i].units, took);
  }
  for (const auto& [stamp, op] : ops_) marks_.push_back({op, seconds(stamp - 1, stamp)});
}

}  // namespace hearth::vulkan
