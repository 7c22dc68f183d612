#pragma once

#include <atomic>
#include <memory>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "text/tokenizer/merge.h"
#include "text/tokenizer/text_index.h"

namespace hearth::text {

inline constexpr TokenId kNoToken{-1};

// The merges of a byte-pair vocabulary. Symbols are numbered: all tokens, and all texts that merges speak of.
class MergeTable {
 public:
  explicit MergeTable(size_t merges);

  // The symbol with this text becomes a token. Of several tokens with one text the last counts.
  void add_token(std::string_view text, TokenId token);
  uint32_t add_symbol(std::string_view text);
  // Of several merges of one pair the first counts.
  void add_merge(std::string_view left, std::string_view right, uint32_t rank);

  uint32_t find(std::string_view text) const noexcept { return symbols_.find(text); }
  TokenId token(uint32_t symbol) const noexcept {
    return symbol < tokens_.size() ? tokens_[symbol] : kNoToken;
  }

  Joined join(const Symbol& left, const Symbol& right) const noexcept {
    if (left.id == kNoSymbol || right.id == kNoSymbol) return {};
    const Slot& slot = slots_[place(left.id, right.id)];
    return {slot.rank, slot.result};
  }

 private:
  struct Slot {
    uint32_t left = kNoSymbol, right = kNoSymbol;
    uint32_t rank = kNoRank, result = kNoSymbol;
  };

  size_t place(uint32_t left, uint32_t right) const noexcept {
    const size_t mask = slots_.size() - 1;
    const uint64_t mixed = (static_cast<uint64_t>(left) << 32 | right) * 0x9E3779B97F4A7C15ull;
    size_t at = static_cast<size_t>(mixed >> 32) & mask;
    while (slots_[at].left != kNoSymbol && (slots_[at].left != left || slots_[at].right != right))
      at = (at + 1) & mask;
    return at;
  }

  TextIndex symbols_;
  std::vector<TokenId> tokens_;  // [symbol]
  std::vector<Slot> slots_;      // a power of two, at most half full
};

// Remembers of each token whether tokenizing its own text gives just that token. Filled in as texts come, by
// any number of threads: they can only ever write the same answer.
class WholeWords {
 public:
  explicit WholeWords(size_t tokens) : answers_(std::make_unique<std::atomic<Answer>[]>(tokens)) {}

  // Appends the tokens of a word whose text is that of `token` (kNoToken: of none); `merge(out)` finds them.
  template <class Merge>
  void tokenize(TokenId token, std::vector<TokenId>& out, const Merge& merge) const {
    if (token == kNoToken) {
      merge(out);
      return;
    }
    std::atomic<Answer>& answer = answers_[static_cast<size_t>(token.value)];
    const Answer known = answer.load(std::memory_order_relaxed);
    if (known == Answer::whole) {
      out.push_back(token);
      return;
    }
    const size_t before = out.size();
    merge(out);
    if (known == Answer::split) return;
    const bool whole = out.size() == before + 1 && out.back() == token;
    answer.store(whole ? Answer::whole : Answer::split, std::memory_order_relaxed);
  }

 private:
  enum class Answer : uint8_t { unknown, whole, split };

  std::unique_ptr<std::atomic<Answer>[]> answers_;  // [token]
};

}  // namespace hearth::text
