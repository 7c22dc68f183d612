#include "cli/bandwidth.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>

#include "base/error.h"
#include "base/threads.h"

namespace hearth {
namespace {

constexpr uint64_t buffer_bytes = 1ULL << 30;
constexpr int passes = 4;

// One word of each line of the cache: memory moves whole lines, and additions of all words took longer than
// the lines did (half the figure on two threads that share a core).
uint64_t sum_of(const uint64_t* words, uint64_t count) {
  constexpr uint64_t line = 64 / sizeof(uint64_t);
  std::array<uint64_t, 4> sums{};
  for (uint64_t i = 0; i + 4 * line <= count; i += 4 * line) {
    for (uint64_t k = 0; k < 4; ++k) sums[k] += words[i + k * line];
  }
  return sums[0] + sums[1] + sums[2] + sums[3];
}

}  // namespace

double measure_read_bandwidth(uint32_t threads) {
  void* memory = ::mmap(nullptr, buffer_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    throw Error(Code::out_of_memory, "no memory to measure the bandwidth with (1 GiB)", "free memory");
  }
  ::madvise(memory, buffer_bytes, MADV_HUGEPAGE);
  auto* words = static_cast<uint64_t*>(memory);
  const uint64_t share = buffer_bytes / sizeof(uint64_t) / threads;
  std::atomic<uint64_t> sink{0};
  ThreadTeam team(threads);
  team.run([&](uint32_t t) { std::memset(words + t * share, 1, share * sizeof(uint64_t)); });
  double best = 0;
  for (int pass = 0; pass < passes; ++pass) {
    const auto begin = std::chrono::steady_clock::now();
    team.run([&](uint32_t t) { sink += sum_of(words + t * share, share); });
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    best = std::max(best, static_cast<double>(share * threads * sizeof(uint64_t)) / took.count());
  }
  ::munmap(memory, buffer_bytes);
  return best;
}

}  // namespace hearth
