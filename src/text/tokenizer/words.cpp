#include "text/tokenizer/words.h"

#include <algorithm>

namespace hearth::text {

void WordBorders::learn(std::string_view text) {
  size_t mark = text.find(kSpaceMark, 1);
  for (; mark != std::string_view::npos; mark = text.find(kSpaceMark, mark + 1)) {
    size_t last = mark - 1;
    while (last > 0 && (static_cast<uint8_t>(text[last]) & 0xC0) == 0x80) --last;
    joined_.push_back(decode_character(text, last).code);
  }
}

void WordBorders::finish() {
  std::sort(joined_.begin(), joined_.end());
  joined_.erase(std::unique(joined_.begin(), joined_.end()), joined_.end());
  joined_.shrink_to_fit();
}

bool WordBorders::cuts_after(std::string_view text, size_t last) const noexcept {
  return !std::binary_search(joined_.begin(), joined_.end(), decode_character(text, last).code);
}

std::array<TokenId, 256> byte_tokens(const Lexicon& lexicon) {
  static constexpr char digits[] = "0123456789ABCDEF";
  std::array<TokenId, 256> tokens;
  for (size_t byte = 0; byte < 256; ++byte) {
    const std::string spelled = {'<', '0', 'x', digits[byte / 16], digits[byte % 16], '>'};
    tokens[byte] = lexicon.find_word(spelled).value_or(TokenId{-1});
  }
  return tokens;
}

}  // namespace hearth::text
