#include "base/cpu_features.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>
#endif

namespace hearth {
namespace {

#if defined(__x86_64__)

struct Leaf {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Leaf cpuid(uint32_t leaf, uint32_t subleaf = 0) {
  Leaf r;
  if (leaf > static_cast<uint32_t>(__get_cpuid_max(leaf & 0x80000000U, nullptr))) return r;
  __cpuid_count(leaf, subleaf, r.eax, r.ebx, r.ecx, r.edx);
  return r;
}

bool bit(uint32_t word, unsigned index) { return ((word >> index) & 1U) != 0; }

// The register states that the system saves; zero when it does not use XSAVE.
uint64_t xcr0(const Leaf& leaf1) {
  if (!bit(leaf1.ecx, 27)) return 0;
  uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
}

std::string brand_string() {
  std::array<char, 49> text{};
  for (uint32_t i = 0; i < 3; ++i) {
    const Leaf l = cpuid(0x80000002U + i);
    const std::array<uint32_t, 4> words{l.eax, l.ebx, l.ecx, l.edx};
    std::memcpy(text.data() + 16 * i, words.data(), 16);
  }
  std::string name(text.data());
  while (!name.empty() && name.back() == ' ') name.pop_back();
  return name;
}

// Linux hands out the tile registers on request (arch_prctl, ARCH_REQ_XCOMP_PERM, state 18).
bool request_tiles() { return ::syscall(SYS_arch_prctl, 0x1023, 18) == 0; }

CpuFeatures detect() {
  CpuFeatures f;
  f.brand = brand_string();
  const Leaf l1 = cpuid(1), l7 = cpuid(7), l71 = cpuid(7, 1);
  const uint64_t saved = xcr0(l1);
  const bool ymm = (saved & 0x6U) == 0x6U, zmm = (saved & 0xe6U) == 0xe6U;
  const bool tiles = (saved & 0x60000U) == 0x60000U;

  const bool has_avx2 =
      bit(l1.ecx, 28) && bit(l1.ecx, 12) && bit(l1.ecx, 29) && bit(l7.ebx, 5) && bit(l7.ebx, 8);
  f.avx2 = has_avx2 && ymm;
  if (has_avx2 && !ymm)
    f.notes.emplace_back("AVX2 is present, but the system does not save its registers (XCR0)");

  const bool has_avx512 =
      bit(l7.ebx, 16) && bit(l7.ebx, 17) && bit(l7.ebx, 28) && bit(l7.ebx, 30) && bit(l7.ebx, 31);
  f.avx512 = f.avx2 && has_avx512 && zmm;
  if (has_avx512 && !zmm)
    f.notes.emplace_back("AVX-512 is present, but the system does not save its registers (XCR0)");
  f.avx512vnni = f.avx512 && bit(l7.ecx, 11);
  f.avx512bf16 = f.avx512vnni && bit(l71.eax, 5);

  // Tiles, bfloat16, int8; VBMI (ecx) comes with all of them.
  const bool has_amx = bit(l7.edx, 24) && bit(l7.edx, 22) && bit(l7.edx, 25) && bit(l7.ecx, 1);
  if (has_amx && f.avx512bf16) {
    f.amx = tiles && request_tiles();
    if (!tiles)
      f.notes.emplace_back("AMX is present, but the system does not save the tile registers (XCR0)");
    if (tiles && !f.amx)
      f.notes.emplace_back("AMX is present, but the kernel refused the tile registers (arch_prctl)");
  }
  return f;
}

#else

CpuFeatures detect() { return {}; }

#endif

}  // namespace

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = detect();
  return features;
}

}  // namespace hearth
