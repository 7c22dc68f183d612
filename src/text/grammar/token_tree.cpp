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
  Node last;
  last.first_token = ranks();
  nodes_.push_back(last);
  find_text();
}

namespace {

constexpr uint8_t not_text = TokenTree::Node::not_text;

// What must follow the first byte of a character: `more` bytes, the next of them in a range.
struct Lead {
  int more = -1;  // -1: no text
  uint8_t first = 0x80, last = 0xBF;
};

Lead lead_of(uint8_t byte) {
  if (byte < 0x80) return {Matcher::is_plain(byte) ? 0 : -1};
  if (byte < 0xC2 || byte > 0xF4) return {-1};
  const int more = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
  const uint8_t first = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;
  const uint8_t last = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF;
  return {more, first, last};
}

// The characters at the start of a token: how many, with one that is cut off; not_text if one is no text.
size_t characters(std::string_view bytes) {
  size_t count = 0;
  for (size_t i = 0; i < bytes.size(); ++count) {
    Lead lead = lead_of(static_cast<uint8_t>(bytes[i++]));
    if (lead.more < 0) return not_text;
    for (; lead.more > 0 && i < bytes.size(); --lead.more, ++i) {
      const auto byte = static_cast<uint8_t>(bytes[i]);
      if (byte < lead.first || byte > lead.last) return not_text;
      lead = {lead.more, 0x80, 0xBF};
    }
  }
  return count;
}

}  // namespace

// The text_height of what is below a node where `more` bytes of its character are to come; not_text if there
// is something else.
uint8_t TokenTree::height_after(uint32_t node, int more, uint8_t first, uint8_t last) const {
  uint8_t height = 0;
  for (uint32_t child = node + 1; child < nodes_[node].end; child = nodes_[child].end) {
    const Node& below = nodes_[child];
    uint8_t found = below.text_height;
    if (more == 0 && found == 0) return not_text;
    if (more > 0) {
      if (below.byte < first || below.byte > last) return not_text;
      found = height_after(child, more - 1, 0x80, 0xBF);
      if (found == not_text) return not_text;
    }
    height = std::max(height, found);
  }
  return height;
}

void TokenTree::find_text() {
  // From the leaves up: nodes lie before what is below them.
  for (size_t i = nodes_.size() - 1; i-- > 0;) {
    const Lead lead = lead_of(nodes_[i].byte);
    if (lead.more < 0) continue;
    const uint8_t below = height_after(static_cast<uint32_t>(i), lead.more, lead.first, lead.last);
    if (below < Matcher::longest_run) nodes_[i].text_height = static_cast<uint8_t>(below + 1);
  }
  text_tokens_.assign((size_ + 63) / 64, 0);
  for (uint32_t rank = 0; rank < ranks(); ++rank) {
    const std::string_view text = bytes(rank);
    if (characters(text) <= Matcher::longest_run)
      text_tokens_[tokens_[rank] / 64] |= uint64_t{1} << (tokens_[rank] % 64);
  }
  // From the root down. A path of whole characters is one that is text and after which text can begin.
  struct Step {
    uint32_t end;
    Lead lead;     // what its character still needs
    size_t count;  // characters up to it
    bool text;
  };
  std::vector<Step> path;
  for (uint32_t i = 0; i + 1 < nodes_.size(); ++i) {
    Node& node = nodes_[i];
    while (!path.empty() && path.back().end <= i) path.pop_back();
    Step step{node.end, {}, 0, false};
    const bool begins = path.empty() || (path.back().text && path.back().lead.more == 0);
    if (begins) {
      const size_t before = path.empty() ? 0 : path.back().count;
      node.text_before = static_cast<uint8_t>(std::min<size_t>(before, not_text - 1));
      step.lead = lead_of(node.byte);
      step.count = before + 1;
      step.text = step.lead.more >= 0;
    } else if (path.back().text) {
      const Lead& lead = path.back().lead;
      step.text = node.byte >= lead.first && node.byte <= lead.last;
      step.lead = {lead.more - 1, 0x80, 0xBF};
      step.count = path.back().count;
    }
    path.push_back(step);
  }
}

}  // namespace hearth::grammar
