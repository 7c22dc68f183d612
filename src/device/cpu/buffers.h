#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hearth::cpu {

// Anonymous memory of a planned size, zeroed, aligned to a page; huge pages are asked for where they pay.
// Freed with the object. Throws Error(out_of_memory) naming the purpose.
class Memory {
 public:
  Memory() = default;
  Memory(uint64_t bytes, std::string_view purpose);
  Memory(Memory&& other) noexcept;
  Memory& operator=(Memory&& other) noexcept;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory();

  std::byte* data() const noexcept { return data_; }
  uint64_t size() const noexcept { return size_; }

 private:
  std::byte* data_ = nullptr;
  uint64_t size_ = 0;
};

// Has the system find memory for a range now instead of at the first touch, a millisecond or several for a
// huge page where a virtual machine's host has to find it. Its contents stay. Nothing happens where the
// system cannot (Linux before 5.14).
void make_present(std::byte* data, uint64_t bytes) noexcept;

}  // namespace hearth::cpu
