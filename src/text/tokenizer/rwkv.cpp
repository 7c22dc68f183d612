#include "text/tokenizer/encoder.h"
#include "text/tokenizer/rwkv_text.h"
#include "text/tokenizer/trie.h"

namespace hearth::text {

namespace {

// RWKV: the longest token that the text begins with, again and again. A byte that begins none becomes unk or
// nothing.
class Rwkv final : public Encoder {
 public:
  explicit Rwkv(const Lexicon& x) : unk_(x.special.unk) {
    std::vector<std::string> texts;
    texts.reserve(x.size());
    for (const auto& token : x.tokens) texts.push_back(unescape_rwkv(token));
    std::vector<std::pair<std::string_view, uint32_t>> all, words;
    for (size_t i = 0; i < x.size(); ++i) {
      all.emplace_back(texts[i], static_cast<uint32_t>(i));
      if (!x.marker[i]) words.push_back(all.back());
    }
    all_ = Trie(std::move(all));
    words_ = Trie(std::move(words));
  }

  void encode(std::string_view text, EncoderContext context, std::vector<TokenId>& out) const override {
    const Trie& trie = context.allow_markers ? all_ : words_;
    for (size_t at = 0; at < text.size();) {
      uint32_t token = Trie::none;
      size_t end = at + 1;
      const Trie::Node* node = trie.root();
      for (size_t next = at; next < text.size(); ++next) {
        node = trie.step(node, text[next]);
        if (!node) break;
        if (node->value == Trie::none) continue;
        token = node->value;
        end = next + 1;
      }
      if (token != Trie::none) {
        out.push_back(TokenId{static_cast<int32_t>(token)});
      } else if (unk_) {
        out.push_back(*unk_);
      }
      at = end;
    }
  }

 private:
  Trie all_, words_;  // with and without the control tokens
  std::optional<TokenId> unk_;
};

}  // namespace

std::unique_ptr<const Encoder> make_rwkv(const Lexicon& lexicon) { return std::make_unique<Rwkv>(lexicon); }

}  // namespace hearth::text
