#include "device/cpu/buffers.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <utility>

#include "base/error.h"

namespace hearth::cpu {

Memory::Memory(uint64_t bytes, std::string_view purpose) : size_(bytes) {
  if (bytes == 0) return;
  void* address =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED) {
    throw Error(Code::out_of_memory, fmt::format("the system refused {} MiB for {}", bytes >> 20, purpose),
                "use a smaller context or cache type, or free memory");
  }
  data_ = static_cast<std::byte*>(address);
  constexpr uint64_t worth_huge_pages = 4ULL << 20;
  if (bytes >= worth_huge_pages) ::madvise(data_, bytes, MADV_HUGEPAGE);  // advice: a refusal changes nothing
}

Memory::Memory(Memory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Memory& Memory::operator=(Memory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Memory::~Memory() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace hearth::cpu
