#include <algorithm>
#include <limits>
#include <string>

#include "text/tokenizer/charsmap.h"
#include "text/tokenizer/encoder.h"
#include "text/tokenizer/trie.h"
#include "text/tokenizer/utf8.h"

namespace hearth::text {

namespace {

// SentencePiece Unigram (t5): of all ways to cut the normalised text, the one with the highest sum of scores.
class Unigram final : public Encoder {
 public:
  explicit Unigram(const Lexicon& x) : x_(x), map_(x.precompiled_charsmap) {
    std::vector<std::pair<std::string_view, uint32_t>> words, users;
    float lowest = std::numeric_limits<float>::max();
    for (size_t i = 0; i < x.size(); ++i) {
      const TokenType type = x.types[i];
      const std::pair<std::string_view, uint32_t> entry{x.tokens[i], static_cast<uint32_t>(i)};
      if (type == TokenType::user_defined) users.push_back(entry);
      if (type == TokenType::normal) lowest = std::min(lowest, x.scores[i]);
      if (x.marker[i] || type == TokenType::byte) continue;
      words.push_back(entry);
    }
    if (lowest == std::numeric_limits<float>::max()) lowest = 0;
    unknown_score_ = static_cast<double>(lowest - 10.0f);
    words_ = Trie(std::move(words));
    users_ = Trie(std::move(users));
  }

  void encode(std::string_view text, EncoderContext, std::vector<TokenId>& out) const override {
    const std::string normal = normalized(text);
    const std::vector<Cut> best = best_cuts(normal);
    const size_t before = out.size();
    bool unknown = false;
    for (size_t end = normal.size(); end > 0; end = best[end].begin) {
      const bool was_unknown = unknown;
      unknown = best[end].token == Trie::none;
      if (!unknown) {
        out.push_back(TokenId{static_cast<int32_t>(best[end].token)});
      } else if (!was_unknown && x_.special.unk) {
        out.push_back(*x_.special.unk);
      }
    }
    std::reverse(out.begin() + static_cast<std::ptrdiff_t>(before), out.end());
  }

 private:
  // The last token of the best way to cut the text up to some byte.
  struct Cut {
    double score = -std::numeric_limits<double>::max();
    uint32_t begin = 0;
    uint32_t token = Trie::none;  // none: unknown
  };

  std::vector<Cut> best_cuts(std::string_view text) const {
    std::vector<Cut> best(text.size() + 1);
    best[0].score = 0;
    for (size_t at = 0; at < text.size();) {
      const double score = best[at].score;
      const auto begin = static_cast<uint32_t>(at);
      const size_t next = at + decode_character(text, at).size;
      bool covered = false;  // some token is just this character
      const Trie::Node* node = words_.root();
      for (size_t end = at; end < text.size();) {
        node = words_.step(node, text[end++]);
        if (!node) break;
        if (node->value == Trie::none) continue;
        covered |= end == next;
        const bool user = x_.types[node->value] == TokenType::user_defined;
        const double sum = score + (user ? 0.0 : static_cast<double>(x_.scores[node->value]));
        if (sum > best[end].score) best[end] = {sum, begin, node->value};
      }
      if (!covered && score + unknown_score_ > best[next].score) best[next] = {score + unknown_score_, begin};
      at = next;
    }
    return best;
  }

  // The text as the character map has it, its spaces as marks. Valid UTF-8 if the map's replacements are.
  std::string normalized(std::string_view text) const {
    std::string out;
    bool in_word = false, prefixed = false;
    const auto add = [&](std::string_view replacement) {
      for (char c : replacement) {
        if (c == ' ') {
          in_word = false;
          if (!x_.remove_extra_whitespaces) out.append(kSpaceMark);
          continue;
        }
        if (!in_word && (x_.remove_extra_whitespaces || (x_.add_space_prefix && !prefixed))) {
          out.append(kSpaceMark);
          prefixed = true;
        }
        in_word = true;
        out.push_back(c);
      }
    };
    std::string replacement;
    for (size_t at = 0; at < text.size();) {
      const std::string_view rest = text.substr(at);
      const size_t user = user_defined(rest);
      if (user > 0) {
        add(rest.substr(0, user));
        at += user;
      } else if (const auto mapped = map_.longest(rest)) {
        add(mapped->text);
        at += mapped->consumed;
      } else {
        const Character c = decode_character(text, at);
        replacement.clear();
        append_utf8(replacement, c.code);
        add(replacement);
        at += c.size;
      }
    }
    return repaired_utf8(out);
  }

  // The size of the longest user-defined token in front: those are kept from the map.
  size_t user_defined(std::string_view text) const {
    size_t size = 0;
    const Trie::Node* node = users_.root();
    for (size_t end = 0; end < text.size();) {
      node = users_.step(node, text[end++]);
      if (!node) break;
      if (node->value != Trie::none) size = end;
    }
    return size;
  }

  const Lexicon& x_;
  CharacterMap map_;
  Trie words_, users_;
  double unknown_score_ = 0;
};

}  // namespace

std::unique_ptr<const Encoder> make_unigram(const Lexicon& lexicon) {
  return std::make_unique<Unigram>(lexicon);
}

}  // namespace hearth::text
