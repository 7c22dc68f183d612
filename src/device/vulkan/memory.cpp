#include "device/vulkan/memory.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace hearth::vulkan {
namespace {

constexpr uint64_t most_block = 1ULL << 30;

// Memory types in the order in which they are tried.
std::vector<uint32_t> candidates(const PhysicalDevice& device, uint32_t allowed, Side side) {
  const VkPhysicalDeviceMemoryProperties& m = device.memory;
  constexpr VkMemoryPropertyFlags visible =
      VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  uint64_t largest_local = 0;
  for (uint32_t i = 0; i < m.memoryHeapCount; ++i) {
    if ((m.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0)
      largest_local = std::max(largest_local, m.memoryHeaps[i].size);
  }
  // Where CPU and GPU share memory every heap will do.
  const bool shared = device.properties.deviceType != VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
  std::vector<std::pair<int, uint32_t>> ranked;
  for (uint32_t i = 0; i < m.memoryTypeCount; ++i) {
    if ((allowed & (1U << i)) == 0) continue;
    const VkMemoryPropertyFlags flags = m.memoryTypes[i].propertyFlags;
    const VkMemoryHeap& heap = m.memoryHeaps[m.memoryTypes[i].heapIndex];
    const bool local = (flags & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT) != 0;
    const bool mappable = (flags & visible) == visible;
    if (side == Side::host) {
      if (!mappable) continue;
      const bool cached = (flags & VK_MEMORY_PROPERTY_HOST_CACHED_BIT) != 0;
      ranked.emplace_back((cached ? 0 : 2) + (local && !shared ? 1 : 0), i);
      continue;
    }
    // The small window of mapped memory of cards without a resizable BAR is not for weights.
    if (!local && !shared) continue;
    const bool small_window = local && heap.size < largest_local;
    if (small_window && !shared) continue;
    ranked.emplace_back((local ? 0 : 4) + (small_window ? 2 : 0) + (mappable ? 0 : 1), i);
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<uint32_t> order;
  order.reserve(ranked.size());
  for (const auto& [rank, type] : ranked) order.push_back(type);
  return order;
}

}  // namespace

Buffer::Buffer(const Gpu& gpu, uint64_t bytes, Side side, std::string_view purpose)
    : gpu_(&gpu), size_(bytes) {
  if (bytes == 0) return;
  const DeviceApi& api = gpu.api();
  VkBufferCreateInfo info{VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
  info.size = bytes;
  info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
               VK_BUFFER_USAGE_TRANSFER_DST_BIT;
  check(api.vkCreateBuffer(gpu.handle(), &info, nullptr, &buffer_), "vkCreateBuffer");
  VkMemoryRequirements needs{};
  api.vkGetBufferMemoryRequirements(gpu.handle(), buffer_, &needs);
  VkResult result = VK_ERROR_OUT_OF_DEVICE_MEMORY;
  uint32_t type = 0;
  for (const uint32_t candidate : candidates(gpu.physical(), needs.memoryTypeBits, side)) {
    VkMemoryAllocateInfo allocate{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
    allocate.allocationSize = needs.size;
    allocate.memoryTypeIndex = type = candidate;
    result = gpu.api().vkAllocateMemory(gpu.handle(), &allocate, nullptr, &memory_);
    if (result == VK_SUCCESS) break;
  }
  if (result != VK_SUCCESS) {
    api.vkDestroyBuffer(gpu.handle(), buffer_, nullptr);
    buffer_ = nullptr;
    throw Error(Code::out_of_memory,
                fmt::format("{} refused {} MiB for {}: {}", gpu.physical().description.name, bytes >> 20,
                            purpose, name_of(result)),
                "use a smaller context or cache type, or free memory of the GPU");
  }
  check(api.vkBindBufferMemory(gpu.handle(), buffer_, memory_, 0), "vkBindBufferMemory");
  const VkMemoryPropertyFlags flags = gpu.physical().memory.memoryTypes[type].propertyFlags;
  constexpr VkMemoryPropertyFlags visible =
      VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  if ((flags & visible) == visible) {
    void* address = nullptr;
    check(api.vkMapMemory(gpu.handle(), memory_, 0, VK_WHOLE_SIZE, 0, &address), "vkMapMemory");
    mapped_ = static_cast<std::byte*>(address);
  }
}

void Buffer::swap(Buffer& other) noexcept {
  std::swap(gpu_, other.gpu_);
  std::swap(buffer_, other.buffer_);
  std::swap(memory_, other.memory_);
  std::swap(size_, other.size_);
  std::swap(mapped_, other.mapped_);
}

Buffer::~Buffer() {
  if (buffer_ == nullptr) return;
  gpu_->api().vkDestroyBuffer(gpu_->handle(), buffer_, nullptr);
  gpu_->api().vkFreeMemory(gpu_->handle(), memory_, nullptr);
}

uint64_t block_bytes(const Gpu& gpu, uint64_t unit) {
  const uint64_t most = std::min(most_block, gpu.capabilities().largest_allocation);
  return std::max<uint64_t>(1, most / std::max<uint64_t>(1, unit)) * std::max<uint64_t>(1, unit);
}

Blocks::Blocks(const Gpu& gpu, uint64_t bytes, uint64_t unit, Side side, std::string_view purpose)
    : bytes_(bytes), block_(vulkan::block_bytes(gpu, unit)) {
  for (uint64_t at = 0; at < bytes; at += block_)
    buffers_.emplace_back(gpu, std::min(block_, bytes - at), side, purpose);
}

Range Blocks::range(uint64_t at, uint64_t bytes) const {
  return {buffers_[at / block_].handle(), at % block_, bytes};
}

std::byte* Blocks::mapped(uint64_t at) const {
  std::byte* base = buffers_[at / block_].mapped();
  return base != nullptr ? base + at % block_ : nullptr;
}

}  // namespace hearth::vulkan
