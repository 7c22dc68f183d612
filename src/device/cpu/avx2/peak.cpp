// The rate of products of bytes with their sums in sixteen bits.
#include "device/cpu/avx2/kernels.h"
#include "device/cpu/wide/intrinsics.h"

namespace hearth::cpu::avx2 {
namespace {

constexpr uint64_t sums = 8;

void run(uint64_t rounds) {
  const __m256i zero = _mm256_setzero_si256();
  __m256i level = _mm256_set1_epi8(1), x = level;
  // Each a variable of its own: of an array the compiler keeps parts in memory.
  __m256i a = zero, b = zero, c = zero, d = zero, e = zero, f = zero, g = zero, h = zero;
  const auto add = [&](__m256i& sum) {
    __asm__ volatile("" : "+x"(level), "+x"(x));  // not known to be the same in the next product
    sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(level, x));
  };
  for (uint64_t r = 0; r < rounds; ++r) add(a), add(b), add(c), add(d), add(e), add(f), add(g), add(h);
  __asm__ volatile("" : : "x"(a), "x"(b), "x"(c), "x"(d), "x"(e), "x"(f), "x"(g), "x"(h));
}

}  // namespace

const PeakKernel peak = {sums * 2 * 32, run};

}  // namespace hearth::cpu::avx2
