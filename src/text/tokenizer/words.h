#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/tokenizer/lexicon.h"
#include "text/tokenizer/utf8.h"

namespace hearth::text {

// Tells where a text with space marks (U+2581) may be cut without changing how it merges: in front of a mark
// that stands behind a character which no token has in front of a mark.
class WordBorders {
 public:
  // Every text that merging can produce must be shown once.
  void learn(std::string_view text);
  void finish();

  // Calls `one(word)` for each word of the text; `size_of(text, at)` is the size of a character.
  template <class SizeOf, class One>
  void for_each_word(std::string_view text, const SizeOf& size_of, const One& one) const {
    size_t begin = 0;
    bool last_is_mark = true;
    for (size_t at = 0, last = 0; at < text.size();) {
      const bool mark = text[at] == kSpaceMark[0] && text.substr(at).starts_with(kSpaceMark);
      if (mark && !last_is_mark && cuts_after(text, last)) {
        one(text.substr(begin, at - begin));
        begin = at;
      }
      last = at;
      last_is_mark = mark;
      at += size_of(text, at);
    }
    if (begin < text.size()) one(text.substr(begin));
  }

 private:
  // Whether a word may end behind the character that starts at `last` when a mark follows.
  bool cuts_after(std::string_view text, size_t last) const noexcept;

  std::vector<uint32_t> joined_;  // characters that some text has in front of a mark, ascending
};

// The tokens <0x00> … <0xFF>; kNoToken where there is none.
std::array<TokenId, 256> byte_tokens(const Lexicon& lexicon);

}  // namespace hearth::text
