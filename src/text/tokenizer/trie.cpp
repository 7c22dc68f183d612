#include "text/tokenizer/trie.h"

#include <algorithm>
#include <deque>

namespace hearth::text {

Trie::Trie(std::vector<std::pair<std::string_view, uint32_t>> texts) : nodes_(1) {
  std::stable_sort(texts.begin(), texts.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  struct Range {
    size_t begin, end, depth;  // texts that share their first `depth` bytes
    uint32_t node;
  };
  std::deque<Range> todo;
  todo.push_back({0, texts.size(), 0, 0});
  for (; !todo.empty(); todo.pop_front()) {
    const Range r = todo.front();
    size_t at = r.begin;
    for (; at < r.end && texts[at].first.size() == r.depth; ++at)
      if (r.depth > 0) nodes_[r.node].value = texts[at].second;
    nodes_[r.node].first_child = static_cast<uint32_t>(nodes_.size());
    while (at < r.end) {
      const char label = texts[at].first[r.depth];
      size_t same = at;
      while (same < r.end && texts[same].first[r.depth] == label) ++same;
      todo.push_back({at, same, r.depth + 1, static_cast<uint32_t>(nodes_.size())});
      nodes_.push_back({0, none, 0, static_cast<uint8_t>(label)});
      ++nodes_[r.node].children;
      at = same;
    }
  }
  for (uint32_t i = 0; i < nodes_[0].children; ++i) {
    const uint32_t child = nodes_[0].first_child + i;
    first_[nodes_[child].label] = child;
  }
}

}  // namespace hearth::text
