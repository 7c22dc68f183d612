#include "device/vulkan/vulkan_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"
#include "device/vulkan/executor.h"

namespace hearth::vulkan {
namespace {

// Of what is kept for a driver and a chip.
std::string file_name(const PhysicalDevice& d, const char* what) {
  std::string name = "vulkan-";
  for (const uint8_t b : d.cache_id) name += fmt::format("{:02x}", b);
  return name + what;
}

// Needs more than the driver's budget leaves? Drivers would answer by moving memory to and fro.
void expect_room(const Gpu& gpu, uint64_t bytes) {
  if (!gpu.capabilities().memory_budget) return;
  uint64_t free = 0;
  for (const MemoryHeap& heap : gpu.heaps()) free += heap.device_local ? heap.free : 0;
  if (bytes <= free) return;
  throw Error(Code::out_of_memory,
              fmt::format("{} has {} MiB free, {} MiB are needed", gpu.physical().description.name,
                          free >> 20, bytes >> 20),
              "free memory of the GPU, or use a smaller context, cache type or model");
}

}  // namespace

Driver::Driver(std::shared_ptr<Instance> instance, const PhysicalDevice& device)
    : gpu(std::move(instance), device),
      file(file_name(device, ".pipelines")),
      pipelines(gpu, file),
      choice(file_name(device, ".variants")) {}

VulkanDevice::VulkanDevice(std::shared_ptr<Driver> driver, const Variants& variants, double aim)
    : driver_(std::move(driver)), variants_(variants), aim_(aim) {
  const ModuleDevice& d = driver_->gpu.physical().description;
  info_.name = d.name;
  info_.description = fmt::format("{} ({})", d.description, d.driver);
  info_.variants = describe(variants_);
  VkCommandPoolCreateInfo pool{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
  pool.flags = VK_COMMAND_POOL_CREATE_TRANSIENT_BIT;
  pool.queueFamilyIndex = driver_->gpu.capabilities().queue_family;
  check(driver_->gpu.api().vkCreateCommandPool(driver_->gpu.handle(), &pool, nullptr, &pool_),
        "vkCreateCommandPool");
}

VulkanDevice::~VulkanDevice() {
  driver_->gpu.api().vkDestroyCommandPool(driver_->gpu.handle(), pool_, nullptr);
}

std::optional<Refusal> VulkanDevice::refuse(const Op& op, const Program& program, KvTypes kv) const {
  return vulkan::refuse(op, program, kv, driver_->gpu.capabilities());
}

uint64_t VulkanDevice::workspace(const Program& program, uint32_t rows) const {
  const Workspace w = workspace_of(program, rows);
  return w.device() + w.host();
}

uint64_t VulkanDevice::resident(const Program& program) const {
  return residence_of(program, driver_->gpu.capabilities()).bytes;
}

void VulkanDevice::reserve(const DeviceBuffers& plan, const Program& program) {
  const Gpu& gpu = driver_->gpu;
  kv_.clear();
  weights_ = {};
  for (Buffer* b : {&arena_, &scratch_, &staging_, &results_}) *b = Buffer();
  residence_ = residence_of(program, gpu.capabilities());
  const uint64_t planned = plan.of(BufferKind::workspace);
  const Workspace w = workspace_of(program, rows_of(program, planned));
  expect_room(gpu, residence_.bytes + plan.of(BufferKind::kv) + plan.of(BufferKind::arena) + w.device());
  weights_ = Blocks(gpu, residence_.bytes, 4096, Side::device, "the weights");
  reserve_cache(plan, program);
  arena_ = Buffer(gpu, plan.of(BufferKind::arena), Side::device, "activations");
  scratch_ = Buffer(gpu, w.device(), Side::device, "scratch memory");
  staging_ = Buffer(gpu, planned - w.device(), Side::host, "the step's tables");
  results_ = Buffer(gpu, plan.of(BufferKind::results), Side::host, "scores");
  views_.assign(program.weights.size(), {});
  if (residence_.codebooks) {
    const std::vector<uint16_t> books = codebooks();
    upload(*residence_.codebooks, std::as_bytes(std::span(books)));
  }
}

void VulkanDevice::reserve_cache(const DeviceBuffers& plan, const Program& program) {
  const Gpu& gpu = driver_->gpu;
  for (size_t g = 0; g < program.caches.size(); ++g) {
    const CacheGroup& c = program.caches[g];
    KvGroup group;
    group.profile = profile_of(c);
    group.types = plan.kv;
    group.pages = plan.pages[g];
    group.layer_page = page_bytes(group.profile, plan.kv) / std::max(1U, c.layers);
    const uint64_t most = layer_cache(gpu.capabilities()).bytes;
    group.pages_each = static_cast<uint32_t>(
        std::clamp<uint64_t>(most / std::max<uint64_t>(1, group.layer_page), 1, std::max(1U, group.pages)));
    const uint32_t count = (group.pages + group.pages_each - 1) / group.pages_each;
    if (count > cache_bindings) {
      throw Error(Code::out_of_memory,
                  fmt::format("a layer of the cache has {} MiB, the driver takes {} times {} MiB",
                              group.pages * group.layer_page >> 20, cache_bindings, most >> 20),
                  "use a smaller context or cache type");
    }
    group.layers.resize(c.layers);
    for (auto& layer : group.layers) {
      for (uint32_t p = 0; p < group.pages; p += group.pages_each) {
        layer.emplace_back(gpu, std::min(group.pages_each, group.pages - p) * group.layer_page, Side::device,
                           "the cache of keys and values");
      }
    }
    kv_.push_back(std::move(group));
  }
}

uint64_t VulkanDevice::reserved() const noexcept {
  uint64_t bytes = arena_.size() + scratch_.size() + staging_.size() + results_.size() + weights_.bytes();
  for (const KvGroup& group : kv_) {
    for (const auto& layer : group.layers) {
      for (const Buffer& buffer : layer) bytes += buffer.size();
    }
  }
  return bytes;
}

void VulkanDevice::load(Weight weight, const WeightView& view) {
  views_[weight.id - 1] = view;
  for (const WeightPart& part : residence_.weights[weight.id - 1].parts) {
    const WeightHome& home = residence_.weights[weight.id - 1];
    const uint64_t from = (uint64_t{part.first_expert} * home.rows + part.first_row) * home.row_bytes;
    upload(part.at, view.data.subspan(from, part.bytes), home.packed);
  }
}

// Straight into the GPU's memory where it is mapped (shared memory, a resizable BAR), else through the
// staging buffer.
void VulkanDevice::upload(uint64_t at, std::span<const std::byte> bytes, bool packed) {
  const auto put = [packed](std::span<const std::byte> from, std::byte* to) {
    if (packed) return pack(from, to);
    std::memcpy(to, from.data(), from.size());
  };
  const uint64_t unit = packed ? packed_bytes : 1,
                 most = std::min<uint64_t>(staging_.size(), weight_block(driver_->gpu.capabilities()));
  while (!bytes.empty()) {
    std::byte* to = weights_.mapped(at);
    if (to != nullptr) return put(bytes, to);
    const uint64_t some = std::min<uint64_t>(bytes.size(), most / unit * unit);
    put(bytes.first(some), staging_.mapped());
    copy_now({staging_.handle(), 0, some}, weights_.range(at, some));
    bytes = bytes.subspan(some);
    at += some;
  }
}

void VulkanDevice::copy_now(const Range& from, const Range& to) {
  const Gpu& gpu = driver_->gpu;
  const DeviceApi& api = gpu.api();
  check(api.vkResetCommandPool(gpu.handle(), pool_, VK_COMMAND_POOL_RESET_RELEASE_RESOURCES_BIT),
        "vkResetCommandPool");
  VkCommandBufferAllocateInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
  info.commandPool = pool_;
  info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
  info.commandBufferCount = 1;
  VkCommandBuffer commands = nullptr;
  check(api.vkAllocateCommandBuffers(gpu.handle(), &info, &commands), "vkAllocateCommandBuffers");
  VkCommandBufferBeginInfo begin{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  check(api.vkBeginCommandBuffer(commands, &begin), "vkBeginCommandBuffer");
  const VkBufferCopy region{from.offset, to.offset, from.bytes};
  api.vkCmdCopyBuffer(commands, from.buffer, to.buffer, 1, &region);
  check(api.vkEndCommandBuffer(commands), "vkEndCommandBuffer");
  VkSubmitInfo submit{VK_STRUCTURE_TYPE_SUBMIT_INFO};
  submit.commandBufferCount = 1;
  submit.pCommandBuffers = &commands;
  check(api.vkQueueSubmit(gpu.queue(), 1, &submit, nullptr), "vkQueueSubmit");
  check(api.vkDeviceWaitIdle(gpu.handle()), "copying on the GPU");
}

std::unique_ptr<Executable> VulkanDevice::prepare(const Program& program, const Layout& layout) {
  return make_executable(*this, program, layout);
}

void VulkanDevice::copy_page(uint32_t group, PageId from, PageId to) {
  const KvGroup& kv = kv_[group];
  for (const auto& layer : kv.layers) {
    const auto page = [&](PageId id) {
      return Range{layer[id.value / kv.pages_each].handle(), id.value % kv.pages_each * kv.layer_page,
                   kv.layer_page};
    };
    copy_now(page(from), page(to));
  }
}

}  // namespace hearth::vulkan
