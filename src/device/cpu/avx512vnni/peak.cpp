// The rate of products of bytes, four to a lane.
#include "device/cpu/avx512vnni/kernels.h"
#include "device/cpu/wide/intrinsics.h"

namespace hearth::cpu::avx512vnni {
namespace {

constexpr uint64_t sums = 12;  // enough to hide the latency of two products per cycle

void run(uint64_t rounds) {
  __m512i acc[sums], level = _mm512_set1_epi8(1), x = _mm512_set1_epi8(1);
  for (__m512i& a : acc) a = _mm512_setzero_si512();
  for (uint64_t r = 0; r < rounds; ++r) {
    __asm__ volatile("" : "+v"(level), "+v"(x));  // not known to be the same in the next round
    for (__m512i& a : acc) a = _mm512_dpbusd_epi32(a, level, x);
  }
  for (__m512i& a : acc) __asm__ volatile("" : : "v"(a));
}

}  // namespace

const PeakKernel peak = {sums * 2 * 64, run};

}  // namespace hearth::cpu::avx512vnni
