#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "device/vulkan/gpu.h"

namespace hearth::vulkan {

// What a buffer is for decides the kind of memory: `device` is near the GPU (and mapped where that costs
// nothing), `host` is read and written by this process.
enum class Side { device, host };

// A buffer with memory of its own. Throws Error(out_of_memory) naming the purpose and the numbers.
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Gpu& gpu, uint64_t bytes, Side side, std::string_view purpose);
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();

  VkBuffer handle() const noexcept { return buffer_; }
  uint64_t size() const noexcept { return size_; }
  // Null where this process cannot see the memory.
  std::byte* mapped() const noexcept { return mapped_; }

 private:
  void swap(Buffer& other) noexcept;

  const Gpu* gpu_ = nullptr;
  VkBuffer buffer_ = nullptr;
  VkDeviceMemory memory_ = nullptr;
  uint64_t size_ = 0;
  std::byte* mapped_ = nullptr;
};

// A range of a buffer.
struct Range {
  VkBuffer buffer = nullptr;
  uint64_t offset = 0, bytes = 0;
};

// One piece of a planned size: blocks of 1 GiB at most (an allocation cap may be lower), because drivers
// refuse or swap larger ones. `unit` bytes are never cut by the end of a block.
class Blocks {
 public:
  Blocks() = default;
  Blocks(const Gpu& gpu, uint64_t bytes, uint64_t unit, Side side, std::string_view purpose);

  uint64_t bytes() const noexcept { return bytes_; }
  uint64_t block_bytes() const noexcept { return block_; }
  const std::vector<Buffer>& buffers() const noexcept { return buffers_; }
  // The range [at, at + bytes), which must lie in one block.
  Range range(uint64_t at, uint64_t bytes) const;
  std::byte* mapped(uint64_t at) const;

 private:
  uint64_t bytes_ = 0, block_ = 1;
  std::vector<Buffer> buffers_;
};

// Bytes of a block of `unit`s at most, for this device.
uint64_t block_bytes(const Gpu& gpu, uint64_t unit);

}  // namespace hearth::vulkan
