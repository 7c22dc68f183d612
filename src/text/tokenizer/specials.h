#pragma once

#include <string_view>
#include <vector>

#include "text/tokenizer/lexicon.h"
#include "text/tokenizer/trie.h"

namespace hearth::text {

// A piece of a text: a special token, or what lies between two.
struct Fragment {
  std::string_view text;
  std::optional<TokenId> token;
};

// Where control tokens may be recognised: [begin, end) of the text, bytes.
struct Permit {
  size_t begin = 0, end = 0;
};

// Cuts texts at special tokens: the longest token first, over the whole text; of equally long ones the
// leftmost. Keeps a reference to the lexicon.
class SpecialCutter {
 public:
  explicit SpecialCutter(const Lexicon& lexicon);

  // `permits`: ascending and apart. A control token counts only inside one of them.
  std::vector<Fragment> cut(std::string_view text, const std::vector<Permit>& permits) const;

 private:
  struct Found {
    size_t begin, end;
    TokenId token;
  };
  class Permits;

  // The longest token at `at` that may be recognised there; none: end is `at`.
  Found longest(std::string_view text, size_t at, Permits& permits) const;
  // Tokens that overlap one another, in [begin, end): chooses by length.
  void choose(std::string_view text, size_t begin, size_t end, const Permits& permits,
              std::vector<Found>& out) const;
  std::vector<Fragment> fragments(std::string_view text, const std::vector<Found>& found) const;

  const Lexicon& lexicon_;
  Trie trie_;
  std::vector<size_t> lengths_;               // of the special tokens, descending
  std::vector<bool> eats_left_, eats_right_;  // [token] the white space beside it vanishes
  bool eats_ = false;
};

}  // namespace hearth::text
