#include <algorithm>
#include <array>
#include <string>

#include "text/tokenizer/encoder.h"
#include "text/tokenizer/merge_table.h"
#include "text/tokenizer/pretokenizer.h"
#include "text/tokenizer/utf8.h"
#include "text/tokenizer/words.h"

namespace hearth::text {

namespace {

// BPE over characters (gemma4): spaces become marks, the text is cut only at line ends, a character without a
// token becomes bytes.
class MarkBpe final : public Encoder {
 public:
  explicit MarkBpe(const Lexicon& x)
      : x_(x), merges_(x.merges.size()), whole_(x.size()), bytes_(byte_tokens(x)) {
    for (size_t i = 0; i < x.size(); ++i)
      if (!x.marker[i] && !x.tokens[i].empty())
        merges_.add_token(x.tokens[i], TokenId{static_cast<int32_t>(i)});
    for (size_t i = 0; i < x.merges.size(); ++i) {
      const std::string_view merge = x.merges[i];
      const size_t gap = merge.find(' ', 1);
      if (gap == std::string_view::npos || gap + 1 == merge.size()) continue;
      const std::string_view left = merge.substr(0, gap), right = merge.substr(gap + 1);
      merges_.add_merge(left, right, static_cast<uint32_t>(i));
      borders_.learn(std::string(left).append(right));
    }
    borders_.finish();
  }

  void encode(std::string_view text, EncoderContext context, std::vector<TokenId>& out) const override {
    std::string marked;
    if (x_.add_space_prefix && context.after_special) marked.append(kSpaceMark);
    const std::string repaired = repaired_utf8(text);
    for (char c : repaired) {
      if (c == ' ') {
        marked.append(kSpaceMark);
      } else {
        marked.push_back(c);
      }
    }
    out.reserve(out.size() + text.size() / 3);
    Merger merger;
    const std::string_view all = marked;
    for (size_t at = 0; at < all.size();) {
      const bool line_ends = all[at] == '\n';
      const size_t end =
          std::min(line_ends ? all.find_first_not_of('\n', at) : all.find('\n', at), all.size());
      encode_line(all.substr(at, end - at), line_ends, merger, out);
      at = end;
    }
  }

 private:
  void encode_line(std::string_view line, bool line_ends, Merger& merger, std::vector<TokenId>& out) const {
    if (line_ends) {
      if (const TokenId token = merges_.token(merges_.find(line)); token != kNoToken) {
        out.push_back(token);
        return;
      }
    }
    borders_.for_each_word(line, character_size, [&](std::string_view word) {
      whole_.tokenize(merges_.token(merges_.find(word)), out,
                      [&](auto& tokens) { merge_word(word, merger, tokens); });
    });
  }

  static size_t character_size(std::string_view text, size_t at) { return decode_character(text, at).size; }

  void merge_word(std::string_view word, Merger& merger, std::vector<TokenId>& out) const {
    merger.symbols.clear();
    for (size_t at = 0; at < word.size();) {
      const uint32_t size = decode_character(word, at).size;
      merger.symbols.push_back({merges_.find(word.substr(at, size)), static_cast<uint32_t>(at), size});
      at += size;
    }
    merger.run([this](const Symbol& left, const Symbol& right) { return merges_.join(left, right); });
    for (const Symbol& s : merger.symbols) {
      if (const TokenId token = merges_.token(s.id); token != kNoToken) {
        out.push_back(token);
        continue;
      }
      for (char c : word.substr(s.begin, s.size))
        if (const TokenId byte = bytes_[static_cast<uint8_t>(c)]; byte != kNoToken) out.push_back(byte);
    }
  }

  const Lexicon& x_;
  MergeTable merges_;
  WholeWords whole_;
  WordBorders borders_;
  std::array<TokenId, 256> bytes_;
};

}  // namespace

std::unique_ptr<const Encoder> make_mark_bpe(const Lexicon& lexicon) {
  return std::make_unique<MarkBpe>(lexicon);
}

}  // namespace hearth::text
