// The rate of the portable products: a row that stays in the first-level cache.
#include <array>

#include "device/cpu/portable/kernels.h"

namespace hearth::cpu::portable {
namespace {

constexpr uint32_t values = 1024;

void run(uint64_t rounds) {
  std::array<float, values> a, b;
  a.fill(1);
  b.fill(0.5F);
  float sum = 0;
  for (uint64_t r = 0; r < rounds; ++r) {
    a[0] = sum * 0x1p-100F;  // each round needs the one before
    sum = dot(a.data(), b.data(), values);
  }
  volatile float keep = sum;
  static_cast<void>(keep);
}

}  // namespace

const PeakKernel peak = {uint64_t{2} * values, run};

}  // namespace hearth::cpu::portable
