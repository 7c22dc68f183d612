#include "device/cpu/faster.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <vector>

#include "device/cpu/packed.h"
#include "device/cpu/packer.h"

namespace hearth::cpu {
namespace {

constexpr uint32_t rows = 64, columns = 256, count = 32;

class Race {
 public:
  explicit Race(uint32_t type)
      : strips_(packed_bytes(*packed_form(type), rows, columns)), x_(integer_row(columns).bytes * count) {
    std::memset(strips_.data(), 0x3c,
                strips_.size());  // scales near one; activations are zeros, which take as long
  }
  std::chrono::steady_clock::duration time(PackedProduct product) {
    const auto begin = std::chrono::steady_clock::now();
    product(strips_.data(), rows, columns, x_.data(), count, y_.data(), rows);
    return std::chrono::steady_clock::now() - begin;
  }

 private:
  std::vector<std::byte> strips_, x_;
  std::array<float, size_t{rows} * count> y_{};
};

PackedProduct winner(const PackedKernels& kernels) {
  constexpr int rounds = 12;  // in turn, the best of each: what else the machine does meets both
  Race race(kernels.type);
  auto first = std::chrono::steady_clock::duration::max(), other = first;
  for (int i = 0; i < rounds; ++i) {
    first = std::min(first, race.time(kernels.product));
    other = std::min(other, race.time(kernels.other));
  }
  return other < first ? kernels.other : kernels.product;
}

}  // namespace

PackedProduct faster_product(const PackedKernels& kernels) {
  if (kernels.other == nullptr) return kernels.product;
  static std::array<std::atomic<PackedProduct>, weight_types> known{};
  std::atomic<PackedProduct>& mine = known[kernels.type];
  PackedProduct product = mine.load();
  if (product != kernels.product && product != kernels.other) mine.store(product = winner(kernels));
  return product;
}

}  // namespace hearth::cpu
