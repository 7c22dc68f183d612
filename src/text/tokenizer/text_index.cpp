#include "text/tokenizer/text_index.h"

#include <algorithm>
#include <cstring>

namespace hearth::text {

namespace {

uint64_t mix(uint64_t a, uint64_t b) noexcept {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

uint32_t hash_of(std::string_view text) noexcept {
  constexpr uint64_t k1 = 0x9E3779B97F4A7C15ull, k2 = 0xD6E8FEB86659FD93ull;
  uint64_t state = text.size() * k1;
  const char* p = text.data();
  size_t left = text.size();
  uint64_t word = 0;
  for (; left > 8; left -= 8, p += 8) {
    std::memcpy(&word, p, 8);
    state = mix(state ^ word, k2);
  }
  word = 0;
  if (left >= 4) {
    uint32_t low = 0, high = 0;  // they overlap when fewer than 8 bytes are left
    std::memcpy(&low, p, 4);
    std::memcpy(&high, p + left - 4, 4);
    word = static_cast<uint64_t>(high) << 32 | low;
  } else {
    for (size_t i = 0; i < left; ++i) word |= static_cast<uint64_t>(static_cast<uint8_t>(p[i])) << (8 * i);
  }
  state = mix(state ^ word, k1 ^ k2);
  return static_cast<uint32_t>(state ^ state >> 32);
}

}  // namespace

size_t TextIndex::place(std::string_view text, uint32_t hash) const noexcept {
  const size_t mask = slots_.size() - 1;
  for (size_t at = hash & mask;; at = (at + 1) & mask) {
    const Slot& slot = slots_[at];
    if (slot.number == none) return at;
    if (slot.hash == hash && slot.size == text.size() &&
        std::memcmp(bytes_.data() + slot.begin, text.data(), text.size()) == 0)
      return at;
  }
}

uint32_t TextIndex::find(std::string_view text) const noexcept {
  if (text.empty() || text.size() > longest_) return none;
  return slots_[place(text, hash_of(text))].number;
}

uint32_t TextIndex::add(std::string_view text) {
  if ((size() + 1) * 2 > slots_.size()) grow();
  const uint32_t hash = hash_of(text);
  Slot& slot = slots_[place(text, hash)];
  if (slot.number != none) return slot.number;
  if (begin_.empty()) begin_.push_back(0);
  slot = {hash, static_cast<uint32_t>(size()), begin_.back(), static_cast<uint32_t>(text.size())};
  bytes_.append(text);
  begin_.push_back(static_cast<uint32_t>(bytes_.size()));
  longest_ = std::max(longest_, text.size());
  return slot.number;
}

void TextIndex::grow() {
  std::vector<Slot> old(std::max<size_t>(64, slots_.size() * 2));
  old.swap(slots_);
  const size_t mask = slots_.size() - 1;
  for (const Slot& slot : old) {
    if (slot.number == none) continue;
    size_t at = slot.hash & mask;
    while (slots_[at].number != none) at = (at + 1) & mask;
    slots_[at] = slot;
  }
}

}  // namespace hearth::text
