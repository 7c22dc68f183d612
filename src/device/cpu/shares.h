#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

namespace hearth::cpu {

// Units of work for a team of threads. Each has a contiguous part and takes it from the front, so that memory
// is read as one stream; who has done its own helps the others from their back, so that all end together
// although processors differ, and are lent to others.
class Shares {
 public:
  explicit Shares(uint32_t threads) : shares_(threads) {}

  // Collective: work(unit) is called once for every unit of [0, units), on any thread; at most 2^24 units.
  // Threads make the same calls in the same order, and may be up to 2^15 calls apart: parts of different
  // calls are not mixed up.
  template <class F>
  void run(uint32_t thread, uint32_t units, F&& work) {
    const auto threads = static_cast<uint32_t>(shares_.size());
    const auto call = static_cast<uint16_t>(++shares_[thread].calls);
    for (uint32_t i = 0; i < threads; ++i) {
      const uint32_t whose = (thread + i) % threads;
      open(whose, call, units);
      while (const auto unit = take(shares_[whose].part, call, i == 0)) work(*unit);
    }
  }

 private:
  // The call, and what is left of a part, in one word.
  struct Part {
    uint16_t call;
    uint32_t begin, end;
  };
  static constexpr uint32_t bits = 24;
  static uint64_t word(const Part& p) {
    return uint64_t{p.call} << 2 * bits | uint64_t{p.begin} << bits | p.end;
  }
  static Part part(uint64_t word) {
    constexpr uint64_t mask = (uint64_t{1} << bits) - 1;
    return {static_cast<uint16_t>(word >> 2 * bits), static_cast<uint32_t>(word >> bits & mask),
            static_cast<uint32_t>(word & mask)};
  }

  // Whoever comes first makes a thread's part of this call, once its part of the call before is taken.
  void open(uint32_t whose, uint16_t call, uint32_t units) {
    const auto threads = static_cast<uint32_t>(shares_.size());
    std::atomic<uint64_t>& at = shares_[whose].part;
    uint64_t seen = at.load(std::memory_order_relaxed);
    const Part before = part(seen);
    if (static_cast<uint16_t>(before.call + 1) != call || before.begin != before.end) return;
    const Part mine = {call, static_cast<uint32_t>(uint64_t{units} * whose / threads),
                       static_cast<uint32_t>(uint64_t{units} * (whose + 1) / threads)};
    at.compare_exchange_strong(seen, word(mine), std::memory_order_relaxed);
  }

  static std::optional<uint32_t> take(std::atomic<uint64_t>& at, uint16_t call, bool front) {
    uint64_t seen = at.load(std::memory_order_relaxed);
    for (;;) {
      Part p = part(seen);
      if (p.call != call || p.begin == p.end) return {};
      const uint32_t unit = front ? p.begin++ : --p.end;
      if (at.compare_exchange_weak(seen, word(p), std::memory_order_relaxed)) return unit;
    }
  }

  static constexpr size_t line = 64;
  struct alignas(line) Share {
    std::atomic<uint64_t> part{0};
    uint32_t calls = 0;  // its thread's own
  };
  std::vector<Share> shares_;
};

}  // namespace hearth::cpu
