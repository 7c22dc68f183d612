#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace hearth::grammar {

// Two numbers: a state and the stack below it.
struct Pair {
  uint32_t state = 0, stack = 0;
  // NOLINTNEXTLINE(modernize-use-nullptr): Clang 14 takes the 0 of a comparison for a pointer.
  friend auto operator<=>(const Pair&, const Pair&) = default;
};

// Lists of pairs, each kept once and known by a number; number 0 is the empty list.
class PairLists {
 public:
  PairLists();
  // The number of the list, and whether it is new.
  uint32_t intern(std::span<const Pair> list, bool* fresh = nullptr);
  std::span<const Pair> operator[](uint32_t id) const {
    return std::span(pairs_).subspan(at_[id], at_[id + 1] - at_[id]);
  }
  uint32_t size() const { return static_cast<uint32_t>(at_.size() - 1); }
  size_t pairs() const { return pairs_.size(); }

 private:
  static uint64_t hash(std::span<const Pair> list);
  void grow();

  std::vector<Pair> pairs_;
  std::vector<uint32_t> at_ = {0};
  std::vector<uint32_t> slots_;  // open addressing; id + 1, 0 = free
};

// A set of pairs that is emptied in constant time.
class PairSet {
 public:
  PairSet() : slots_(64) {}
  void clear();
  bool insert(Pair pair);  // whether it was not in the set

 private:
  struct Slot {
    Pair pair;
    uint32_t round = 0;
  };
  bool place(std::vector<Slot>& slots, Pair pair) const;

  std::vector<Slot> slots_;
  size_t count_ = 0;
  uint32_t round_ = 1;
};

}  // namespace hearth::grammar
