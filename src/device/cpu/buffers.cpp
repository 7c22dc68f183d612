#include "device/cpu/buffers.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

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

void make_present([[maybe_unused]] std::byte* data, [[maybe_unused]] uint64_t bytes) noexcept {
#ifdef MADV_POPULATE_WRITE
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  const uint64_t before = reinterpret_cast<uintptr_t>(data) % page;
  ::madvise(data - before, bytes + before, MADV_POPULATE_WRITE);  // a refusal changes nothing
#endif
}

}  // namespace hearth::cpu
