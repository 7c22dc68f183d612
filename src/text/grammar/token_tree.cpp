#include "text/grammar/token_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "text/grammar/matcher.h"

namespace hearth::grammar {

TokenTree::TokenTree(std::span<const std::string> bytes, std::vector<TokenId> end_tokens)
    : size_(bytes.size()), end_tokens_(std::move(end_tokens)) {
  for (const TokenId end : end_tokens_) {
    if (end.value < 0 || static_cast<size_t>(end.value) >= size_)
      throw Error(Code::bad_request, fmt::format("end token {} of a vocabulary of {}", end.value, size_),
                  "pass end tokens of this vocabulary");
  }
  std::vector<bool> ends(size_, false);
  for (const TokenId end : end_tokens_) ends[static_cast<size_t>(end.value)] = true;
  begin_of_.push_back(0);
  for (size_t id = 0; id < size_; ++id) {
    if (!ends[id]) text_ += bytes[id];
    begin_of_.push_back(text_.size());
    if (begin_of_[id] != begin_of_[id + 1]) tokens_.push_back(static_cast<uint32_t>(id));
  }
  std::sort(tokens_.begin(), tokens_.end(), [&](uint32_t a, uint32_t b) {
    const int order = part(begin_of_[a], a).compare(part(begin_of_[b], b));
    return order != 0 ? order < 0 : a < b;
  });
  build_tree();
}

std::string_view TokenTree::bytes_of(TokenId token) const {
  if (token.value < 0 || static_cast<size_t>(token.value) >= size_) return {};
  const auto id = static_cast<uint32_t>(token.value);
  return part(begin_of_[id], id);
}

void TokenTree::build_tree() {
  std::vector<uint32_t> path;  // the nodes of the bytes of the token before
  const auto close = [&](size_t depth) {
    for (; path.size() > depth; path.pop_back())
      nodes_[path.back()].end = static_cast<uint32_t>(nodes_.size());
  };
  std::string_view before;
  for (uint32_t rank = 0; rank < ranks(); ++rank) {
    const std::string_view text = bytes(rank);
    const auto same = std::mismatch(before.begin(), before.end(), text.begin(), text.end()).first;
    const auto common = static_cast<size_t>(same - before.begin());
    close(common);
    for (size_t i = common; i < text.size(); ++i) {
      path.push_back(static_cast<uint32_t>(nodes_.size()));
      Node node;
      node.first_token = rank;
      node.depth = static_cast<uint32_t>(i + 1);
      node.byte = static_cast<uint8_t>(text[i]);
      nodes_.push_back(node);
    }
    longest_ = std::max(longest_, static_cast<uint32_t>(text.size()));
    before = text;
  }
  close(0);
  // From the leaves up: nodes lie before what is below them.
  for (size_t i = nodes_.size(); i-- > 0;) {
    Node& node = nodes_[i];
    uint32_t height = 1;
    bool plain = Matcher::is_plain(node.byte);
    for (uint32_t child = static_cast<uint32_t>(i) + 1; plain && child < node.end;
         child = nodes_[child].end) {
      plain = nodes_[child].plain_height > 0;
      height = std::max(height, nodes_[child].plain_height + 1U);
    }
    if (plain && height <= Matcher::longest_run) node.plain_height = static_cast<uint8_t>(height);
  }
  Node last;
  last.first_token = ranks();
  nodes_.push_back(last);
}

}  // namespace hearth::grammar
