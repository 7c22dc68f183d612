#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

namespace hearth::text {

inline constexpr uint32_t kNoRank = UINT32_MAX;
inline constexpr uint32_t kNoSymbol = UINT32_MAX;

// A stretch of text that merging treats as one letter.
struct Symbol {
  uint32_t id = kNoSymbol;  // what it is, for whoever ranks pairs
  uint32_t begin = 0;       // in the text, bytes
  uint32_t size = 0;
};

// What two neighbours become; rank kNoRank: they do not merge. Lower ranks merge first.
struct Joined {
  uint32_t rank = kNoRank;
  uint32_t id = kNoSymbol;
};

// Byte-pair merging: again and again the adjacent pair of the lowest rank (the leftmost of equals) becomes
// one symbol, until no pair has a rank. n² for a few symbols, where that is fastest, else n log n. Keeps its
// memory from word to word.
class Merger {
 public:
  // The word before and after.
  std::vector<Symbol> symbols;

  // `join(left, right)` must give Joined; it depends on the two symbols alone.
  template <class Join>
  void run(const Join& join) {
    if (symbols.size() <= kFew) {
      merge_few(join);
    } else {
      merge_many(join);
    }
  }

 private:
  static constexpr size_t kFew = 24;

  struct Link {
    uint32_t prev, next;
  };

  template <class Join>
  void merge_few(const Join& join) {
    Joined with_next[kFew];
    size_t n = symbols.size();
    for (size_t i = 0; i + 1 < n; ++i) with_next[i] = join(symbols[i], symbols[i + 1]);
    while (n > 1) {
      size_t best = 0;
      for (size_t i = 1; i + 1 < n; ++i)
        if (with_next[i].rank < with_next[best].rank) best = i;
      if (with_next[best].rank == kNoRank) break;
      symbols[best].id = with_next[best].id;
      symbols[best].size += symbols[best + 1].size;
      --n;
      for (size_t i = best + 1; i < n; ++i) {
        symbols[i] = symbols[i + 1];
        with_next[i] = with_next[i + 1];
      }
      if (best + 1 < n) with_next[best] = join(symbols[best], symbols[best + 1]);
      if (best > 0) with_next[best - 1] = join(symbols[best - 1], symbols[best]);
    }
    symbols.resize(n);
  }

  template <class Join>
  void merge_many(const Join& join) {
    const auto n = static_cast<uint32_t>(symbols.size());
    links_.resize(n);
    with_next_.assign(n, Joined{});
    queue_.clear();
    const auto rank_pair = [&](uint32_t at) {
      with_next_[at] = links_[at].next < n ? join(symbols[at], symbols[links_[at].next]) : Joined{};
      if (with_next_[at].rank == kNoRank) return;
      queue_.push_back(static_cast<uint64_t>(with_next_[at].rank) << 32 | at);
    };
    for (uint32_t i = 0; i < n; ++i) links_[i] = {i - 1, i + 1};
    for (uint32_t i = 0; i < n; ++i) rank_pair(i);
    std::make_heap(queue_.begin(), queue_.end(), std::greater<>{});
    const auto push_pair = [&](uint32_t at) {
      const size_t before = queue_.size();
      rank_pair(at);
      if (queue_.size() > before) std::push_heap(queue_.begin(), queue_.end(), std::greater<>{});
    };
    while (!queue_.empty()) {
      std::pop_heap(queue_.begin(), queue_.end(), std::greater<>{});
      const auto rank = static_cast<uint32_t>(queue_.back() >> 32);
      const auto at = static_cast<uint32_t>(queue_.back());
      queue_.pop_back();
      // A pair that has changed since has another rank now, or (with the same rank) is as good as the old
      // one.
      if (symbols[at].size == 0 || with_next_[at].rank != rank) continue;
      const uint32_t gone = links_[at].next;
      symbols[at].id = with_next_[at].id;
      symbols[at].size += symbols[gone].size;
      symbols[gone].size = 0;
      with_next_[gone] = {};
      links_[at].next = links_[gone].next;
      if (links_[at].next < n) links_[links_[at].next].prev = at;
      push_pair(at);
      if (at > 0) push_pair(links_[at].prev);
    }
    std::erase_if(symbols, [](const Symbol& s) { return s.size == 0; });
  }

  std::vector<Link> links_;
  std::vector<Joined> with_next_;
  std::vector<uint64_t> queue_;  // a heap of rank << 32 | position
};

}  // namespace hearth::text
