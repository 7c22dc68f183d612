#include "text/grammar/pairs.h"

#include <algorithm>

namespace hearth::grammar {

namespace {

uint64_t mix(uint64_t h) {
  h *= 0x9E3779B97F4A7C15ULL;
  return h ^ (h >> 29);
}

uint64_t whole(Pair pair) { return uint64_t{pair.state} << 32 | pair.stack; }

}  // namespace

PairLists::PairLists() : slots_(64, 0) { intern({}); }

uint64_t PairLists::hash(std::span<const Pair> list) {
  uint64_t h = list.size();
  for (const Pair& pair : list) h = mix(h ^ whole(pair));
  return mix(h);
}

uint32_t PairLists::intern(std::span<const Pair> list, bool* fresh) {
  if (size() * 2 >= slots_.size()) grow();
  size_t slot = hash(list) & (slots_.size() - 1);
  for (; slots_[slot] != 0; slot = (slot + 1) & (slots_.size() - 1)) {
    const std::span<const Pair> known = (*this)[slots_[slot] - 1];
    if (!std::equal(known.begin(), known.end(), list.begin(), list.end())) continue;
    if (fresh) *fresh = false;
    return slots_[slot] - 1;
  }
  if (fresh) *fresh = true;
  pairs_.insert(pairs_.end(), list.begin(), list.end());
  at_.push_back(static_cast<uint32_t>(pairs_.size()));
  slots_[slot] = size();
  return size() - 1;
}

void PairLists::grow() {
  std::vector<uint32_t> slots(slots_.size() * 2, 0);
  for (uint32_t id = 0; id < size(); ++id) {
    size_t slot = hash((*this)[id]) & (slots.size() - 1);
    while (slots[slot] != 0) slot = (slot + 1) & (slots.size() - 1);
    slots[slot] = id + 1;
  }
  slots_ = std::move(slots);
}

void PairSet::clear() {
  count_ = 0;
  if (++round_ != 0) return;
  std::fill(slots_.begin(), slots_.end(), Slot{});
  round_ = 1;
}

bool PairSet::place(std::vector<Slot>& slots, Pair pair) const {
  size_t slot = mix(whole(pair)) & (slots.size() - 1);
  for (; slots[slot].round == round_; slot = (slot + 1) & (slots.size() - 1))
    if (slots[slot].pair == pair) return false;
  slots[slot] = {pair, round_};
  return true;
}

bool PairSet::insert(Pair pair) {
  if (!place(slots_, pair)) return false;
  if (++count_ * 2 < slots_.size()) return true;
  std::vector<Slot> larger(slots_.size() * 2);
  for (const Slot& slot : slots_)
    if (slot.round == round_) place(larger, slot.pair);
  slots_ = std::move(larger);
  return true;
}

}  // namespace hearth::grammar
