#include <algorithm>
#include <string>

#include "text/tokenizer/byte_level.h"
#include "text/tokenizer/encoder.h"
#include "text/tokenizer/merge_table.h"
#include "text/tokenizer/pretokenizer.h"
#include "text/tokenizer/utf8.h"

namespace hearth::text {

namespace {

// Byte-level BPE (gpt2): the text is cut into words by the expressions of `pre`; each word, as bytes, is
// merged.
class ByteBpe final : public Encoder {
 public:
  explicit ByteBpe(const Lexicon& x)
      : merges_(x.merges.size()),
        whole_(x.size()),
        ignore_merges_(find_pretokenizer(x.pre).ignore_merges),
        pretokenizer_(find_pretokenization(find_pretokenizer(x.pre).group)) {
    for (size_t byte = 0; byte < 256; ++byte)
      bytes_[byte] = merges_.add_symbol(std::string(1, static_cast<char>(byte)));
    for (size_t i = 0; i < x.size(); ++i) {
      if (x.marker[i]) continue;
      const auto bytes = bytes_from_letters(x.tokens[i]);
      if (bytes && !bytes->empty()) merges_.add_token(*bytes, TokenId{static_cast<int32_t>(i)});
    }
    for (size_t i = 0; i < x.merges.size(); ++i) {
      const std::string& merge = x.merges[i];
      const size_t gap = merge.find(' ', 1);
      if (gap == std::string::npos) continue;
      const auto left = bytes_from_letters(std::string_view(merge).substr(0, gap));
      const auto right = bytes_from_letters(std::string_view(merge).substr(gap + 1));
      if (left && right && !right->empty()) merges_.add_merge(*left, *right, static_cast<uint32_t>(i));
    }
  }

  void encode(std::string_view text, EncoderContext, std::vector<TokenId>& out) const override {
    std::string repaired;
    if (valid_utf8_size(text) < text.size()) text = repaired = repaired_utf8(text);
    std::vector<uint32_t> ends;
    pretokenizer_.cut(text, ends);
    out.reserve(out.size() + ends.size() + ends.size() / 4);
    Merger merger;
    size_t begin = 0;
    for (uint32_t end : ends) {
      encode_word(text.substr(begin, end - begin), merger, out);
      begin = end;
    }
  }

 private:
  void encode_word(std::string_view word, Merger& merger, std::vector<TokenId>& out) const {
    const TokenId token = merges_.token(merges_.find(word));
    if (token != kNoToken && ignore_merges_) {
      out.push_back(token);
    } else {
      whole_.tokenize(token, out, [&](auto& tokens) { merge_word(word, merger, tokens); });
    }
  }

  void merge_word(std::string_view word, Merger& merger, std::vector<TokenId>& out) const {
    merger.symbols.resize(word.size());
    for (uint32_t i = 0; i < word.size(); ++i)
      merger.symbols[i] = {bytes_[static_cast<uint8_t>(word[i])], i, 1};
    merger.run([this](const Symbol& left, const Symbol& right) { return merges_.join(left, right); });
    for (const Symbol& s : merger.symbols) {
      if (const TokenId token = merges_.token(s.id); token != kNoToken) {
        out.push_back(token);
        continue;
      }
      // A merge whose result is no token. Bytes that are no tokens either vanish: there is nothing to say
      // them with.
      for (char c : word.substr(s.begin, s.size))
        if (const TokenId byte = merges_.token(bytes_[static_cast<uint8_t>(c)]); byte != kNoToken)
          out.push_back(byte);
    }
  }

  MergeTable merges_;
  WholeWords whole_;
  uint32_t bytes_[256] = {};  // the symbol of each byte
  bool ignore_merges_;
  Pretokenizer pretokenizer_;
};

}  // namespace

std::unique_ptr<const Encoder> make_byte_bpe(const Lexicon& lexicon) {
  return std::make_unique<ByteBpe>(lexicon);
}

}  // namespace hearth::text
