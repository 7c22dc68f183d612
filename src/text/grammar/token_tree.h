#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"

namespace hearth::grammar {

// The tokens as a tree of their bytes, laid out in the order in which a walk from the root meets them, and
// the tokens themselves in the same order (a token's rank).
class TokenTree {
 public:
  TokenTree(std::span<const std::string> bytes, std::vector<TokenId> end_tokens);

  struct Node {
    uint32_t end = 0;          // the first node that is not below this one
    uint32_t first_token = 0;  // rank of the first token that ends here or below
    uint32_t depth = 0;        // bytes from the root, this one included
    uint8_t byte = 0;
    // Characters of the longest token here and below, counted from this byte, if it begins a character and
    // all of them are text (Matcher::text_run; the last may be cut off); 0 if not, or for more than
    // longest_run.
    uint8_t text_height = 0;
    // Characters before this byte if they are text and it begins the next; otherwise `not_text`.
    uint8_t text_before = not_text;
    static constexpr uint8_t not_text = 0xFF;
  };
  // One more than there are bytes in the tree: the last has only `first_token`.
  std::span<const Node> nodes() const { return nodes_; }
  uint32_t longest() const { return longest_; }  // bytes of the longest token

  size_t size() const { return size_; }                                     // ids are below
  uint32_t ranks() const { return static_cast<uint32_t>(tokens_.size()); }  // tokens that are text
  uint32_t token(uint32_t rank) const { return tokens_[rank]; }
  std::string_view bytes(uint32_t rank) const { return part(begin_of_[tokens_[rank]], tokens_[rank]); }
  // Tokens of at most longest_run characters that are all text: bit i % 64 of word i / 64 is token i.
  std::span<const uint64_t> text_tokens() const { return text_tokens_; }
  // Empty for what is not text.
  std::string_view bytes_of(TokenId token) const;
  const std::vector<TokenId>& end_tokens() const { return end_tokens_; }

 private:
  std::string_view part(size_t begin, uint32_t token) const {
    return std::string_view(text_).substr(begin, begin_of_[token + 1] - begin);
  }
  void build_tree();
  void find_text();
  uint8_t height_after(uint32_t node, int more, uint8_t first, uint8_t last) const;

  size_t size_ = 0;
  std::string text_;              // all tokens' bytes by id
  std::vector<size_t> begin_of_;  // [size + 1]
  std::vector<uint32_t> tokens_;  // [rank] -> id
  std::vector<Node> nodes_;
  std::vector<uint64_t> text_tokens_;
  uint32_t longest_ = 0;
  std::vector<TokenId> end_tokens_;
};

}  // namespace hearth::grammar
