#pragma once

// What the tests of the CPU kernels share.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <vector>

#include "base/cpu_features.h"
#include "base/error.h"
#include "device/cpu/tables.h"
#include "tensor/types.h"

namespace hearth::test {

// The unit roundoff of float: each rounded operation is off by at most this share of its result.
constexpr double unit = 0x1p-24;

// The sets this machine can run, portable among them.
inline std::vector<const cpu::CpuTable*> runnable_sets() {
  std::vector<const cpu::CpuTable*> tables;
  for (const cpu::CpuSet& set : cpu::cpu_sets()) {
    if (set.needs == nullptr || cpu_features().*set.needs) tables.push_back(set.table);
  }
  return tables;
}

// An array that ends where a page without access begins: a kernel that reads or writes past it dies. The
// start is aligned only as far as the size happens to make it.
template <class T>
class Guarded {
 public:
  explicit Guarded(size_t count) : count_(count) {
    const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    const size_t body = (count * sizeof(T) + page - 1) / page * page;
    size_ = body + page;
    base_ = static_cast<std::byte*>(
        ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (base_ == MAP_FAILED || ::mprotect(base_ + body, page, PROT_NONE) != 0) {
      throw Error(Code::out_of_memory, "no memory for a guarded array", "run the test where mmap is allowed");
    }
    data_ = reinterpret_cast<T*>(base_ + body - count * sizeof(T));
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  ~Guarded() { ::munmap(base_, size_); }

  T* data() const { return data_; }
  size_t size() const { return count_; }
  T& operator[](size_t i) const { return data_[i]; }
  T* begin() const { return data_; }
  T* end() const { return data_ + count_; }

 private:
  std::byte* base_ = nullptr;
  size_t size_ = 0, count_;
  T* data_ = nullptr;
};

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  float uniform(float low = -1.0F, float high = 1.0F) {
    return low + (high - low) * static_cast<float>(engine_() >> 8) * 0x1p-24F;
  }
  uint32_t below(uint32_t limit) { return static_cast<uint32_t>(engine_()) % limit; }
  std::byte byte() { return static_cast<std::byte>(engine_() >> 24); }

  template <class Range>
  void fill(Range& values, float low = -1.0F, float high = 1.0F) {
    for (float& v : values) v = uniform(low, high);
  }

  // Random bits as one block of a type, drawn until all values are moderate.
  void block(const TypeInfo& type, std::span<std::byte> bytes) {
    std::vector<float> values(type.block_values);
    const auto moderate = [](float v) { return std::fabs(v) < 64.0F; };
    do {
      for (std::byte& b : bytes) b = byte();
      type.decode(bytes, values);
    } while (!std::all_of(values.begin(), values.end(), moderate));
  }
  void blocks(const TypeInfo& type, std::span<std::byte> bytes) {
    for (size_t i = 0; i < bytes.size(); i += type.block_bytes)
      block(type, bytes.subspan(i, type.block_bytes));
  }

 private:
  std::mt19937 engine_;
};

// Equal as numbers, or both not numbers: zeros of either sign are the same.
inline bool same(float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); }

}  // namespace hearth::test
