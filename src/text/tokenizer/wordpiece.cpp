#include <utf8proc.h>

#include "text/tokenizer/encoder.h"
#include "text/tokenizer/trie.h"
#include "text/tokenizer/utf8.h"

namespace hearth::text {

namespace {

bool is_ideograph(uint32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2CEAF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

enum class Role { letter, space, alone, nothing };

// What a character is to a word. Marks are accents, and vanish if those are to be dropped.
Role role_of(uint32_t c, bool drop_accents) {
  if (is_white_space(c)) return Role::space;
  if (c == 0 || c == kReplacement) return Role::nothing;
  if (is_ideograph(c)) return Role::alone;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CS: return Role::nothing;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME: return drop_accents ? Role::nothing : Role::letter;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO: return Role::alone;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO: return c < 0x7F ? Role::alone : Role::letter;
    default: return Role::letter;
  }
}

// The first character of the canonical decomposition: what follows it are accents, except in Hangul, of which
// (as in the reference, and so in the embeddings that people have stored) only the initial consonant stays.
uint32_t base_of(uint32_t c) {
  if (c < 0xC0) return c;
  utf8proc_int32_t parts[32];
  const auto n = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts, 32,
                                         static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE), nullptr);
  return n >= 1 && n <= 32 ? static_cast<uint32_t>(parts[0]) : c;
}

// WordPiece (bert): words of lower-case letters without accents, punctuation and ideographs alone; each word
// is cut into the longest tokens from the left, or is unknown.
class WordPiece final : public Encoder {
 public:
  explicit WordPiece(const Lexicon& x) : x_(x) {
    std::vector<std::pair<std::string_view, uint32_t>> texts;
    for (size_t i = 0; i < x.size(); ++i)
      if (!x.marker[i]) texts.emplace_back(x.tokens[i], static_cast<uint32_t>(i));
    trie_ = Trie(std::move(texts));
  }

  void encode(std::string_view text, EncoderContext, std::vector<TokenId>& out) const override {
    std::string word(kSpaceMark);
    const auto end_word = [&] {
      if (word.size() > kSpaceMark.size()) encode_word(word, out);
      word.resize(kSpaceMark.size());
    };
    for (size_t at = 0; at < text.size();) {
      const Character c = decode_character(text, at);
      at += c.size;
      const uint32_t code = x_.lowercase ? base_of(c.code) : c.code;
      const Role role = role_of(code, x_.lowercase);
      if (role == Role::nothing) continue;
      if (role != Role::letter) end_word();
      if (role == Role::space) continue;
      append_utf8(word, x_.lowercase ? lower(code) : code);
      if (role == Role::alone) end_word();
    }
    end_word();
  }

 private:
  static uint32_t lower(uint32_t code) {
    return static_cast<uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code)));
  }

  void encode_word(std::string_view word, std::vector<TokenId>& out) const {
    const size_t before = out.size();
    for (size_t at = 0; at < word.size();) {
      uint32_t token = Trie::none;
      size_t end = at;
      const Trie::Node* node = trie_.root();
      for (size_t next = at; next < word.size(); ++next) {
        node = trie_.step(node, word[next]);
        if (!node) break;
        if (node->value == Trie::none) continue;
        token = node->value;
        end = next + 1;
      }
      if (token == Trie::none) {
        out.resize(before);
        if (x_.special.unk) out.push_back(*x_.special.unk);
        return;
      }
      out.push_back(TokenId{static_cast<int32_t>(token)});
      at = end;
    }
  }

  const Lexicon& x_;
  Trie trie_;
};

}  // namespace

std::unique_ptr<const Encoder> make_wordpiece(const Lexicon& lexicon) {
  return std::make_unique<WordPiece>(lexicon);
}

}  // namespace hearth::text
