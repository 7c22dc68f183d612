#include <algorithm>
#include <array>
#include <string>

#include "text/tokenizer/encoder.h"
#include "text/tokenizer/merge_table.h"
#include "text/tokenizer/utf8.h"
#include "text/tokenizer/words.h"

namespace hearth::text {

namespace {

// SentencePiece BPE (llama): characters merge while the joined text is a token, best score first; what is
// left without a token becomes bytes.
class Spm final : public Encoder {
 public:
  explicit Spm(const Lexicon& x) : x_(x), whole_(x.size()), bytes_(byte_tokens(x)) {
    rank_by_score();
    for (size_t i = 0; i < x.size(); ++i) {
      if (x.marker[i] || x.tokens[i].empty()) continue;
      const uint32_t word = words_.add(x.tokens[i]);
      if (word >= tokens_.size()) tokens_.resize(word + 1);
      tokens_[word] = TokenId{static_cast<int32_t>(i)};
      borders_.learn(x.tokens[i]);
    }
    borders_.finish();
    for (size_t byte = 0; byte < 256; ++byte) {
      if (bytes_[byte] != kNoToken) continue;
      const auto token = x.find_word(std::string(1, static_cast<char>(byte)));
      bytes_[byte] = (token ? token : x.special.unk).value_or(kNoToken);
    }
  }

  void encode(std::string_view text, EncoderContext context, std::vector<TokenId>& out) const override {
    const std::string marked = with_marks(text, x_.add_space_prefix && context.after_special);
    out.reserve(out.size() + text.size() / 3);
    Merger merger;
    borders_.for_each_word(marked, character_size, [&](std::string_view word) {
      const uint32_t number = words_.find(word);
      whole_.tokenize(number == TextIndex::none ? kNoToken : tokens_[number], out,
                      [&](auto& tokens) { merge_word(word, merger, tokens); });
    });
  }

 private:
  // Dense ranks, best score first; equal scores share one.
  void rank_by_score() {
    std::vector<float> scores = x_.scores;
    std::sort(scores.begin(), scores.end(), std::greater<>{});
    scores.erase(std::unique(scores.begin(), scores.end()), scores.end());
    ranks_.reserve(x_.size());
    for (float score : x_.scores) {
      const auto at = std::lower_bound(scores.begin(), scores.end(), score, std::greater<>{});
      ranks_.push_back(static_cast<uint32_t>(at - scores.begin()));
    }
  }

  static std::string with_marks(std::string_view text, bool prefix) {
    std::string marked;
    marked.reserve(text.size() + text.size() / 2 + kSpaceMark.size());
    if (prefix) marked.append(kSpaceMark);
    for (size_t at = 0; at < text.size();) {
      const size_t space = std::min(text.find(' ', at), text.size());
      marked.append(text.substr(at, space - at));
      if (space < text.size()) marked.append(kSpaceMark);
      at = space + 1;
    }
    return marked;
  }

  // What the lead byte promises, whether or not the text keeps it: broken text is cut as its models were fed.
  static size_t character_size(std::string_view text, size_t at) {
    static constexpr uint8_t sizes[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 4};
    return std::min<size_t>(sizes[static_cast<uint8_t>(text[at]) >> 4], text.size() - at);
  }

  void merge_word(std::string_view word, Merger& merger, std::vector<TokenId>& out) const {
    merger.symbols.clear();
    for (size_t at = 0; at < word.size();) {
      const size_t size = character_size(word, at);
      merger.symbols.push_back(
          {words_.find(word.substr(at, size)), static_cast<uint32_t>(at), static_cast<uint32_t>(size)});
      at += size;
    }
    merger.run([&](const Symbol& left, const Symbol& right) -> Joined {
      const uint32_t number = words_.find(word.substr(left.begin, left.size + right.size));
      if (number == TextIndex::none) return {};
      return {ranks_[static_cast<size_t>(tokens_[number].value)], number};
    });
    for (const Symbol& s : merger.symbols) {
      if (s.id != kNoSymbol) {
        out.push_back(tokens_[s.id]);
        continue;
      }
      for (char c : word.substr(s.begin, s.size))
        if (const TokenId byte = bytes_[static_cast<uint8_t>(c)]; byte != kNoToken) out.push_back(byte);
    }
  }

  const Lexicon& x_;
  WholeWords whole_;
  TextIndex words_;              // the tokens that text can become
  std::vector<TokenId> tokens_;  // [word]
  std::vector<uint32_t> ranks_;  // [token]
  std::array<TokenId, 256> bytes_;
  WordBorders borders_;
};

}  // namespace

std::unique_ptr<const Encoder> make_spm(const Lexicon& lexicon) { return std::make_unique<Spm>(lexicon); }

}  // namespace hearth::text
