// The rate of products of bytes with their sums in sixteen bits.
#include "device/cpu/avx2/kernels.h"
#include "device/cpu/wide/intrinsics.h"

namespace hearth::cpu::avx2 {
namespace {

constexpr uint64_t sums = 10;

void run(uint64_t rounds) {
  __m256i acc[sums], level = _mm256_set1_epi8(1), x = _mm256_set1_epi8(1);
  for (__m256i& a : acc) a = _mm256_setzero_si256();
  for (uint64_t r = 0; r < rounds; ++r) {
    for (__m256i& a : acc) {
      __asm__ volatile("" : "+x"(level), "+x"(x));  // not known to be the same in the next product
      a = _mm256_add_epi16(a, _mm256_maddubs_epi16(level, x));
    }
  }
  for (__m256i& a : acc) __asm__ volatile("" : : "x"(a));
}

}  // namespace

const PeakKernel peak = {sums * 2 * 32, run};

}  // namespace hearth::cpu::avx2
