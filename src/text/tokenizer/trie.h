#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace hearth::text {

// Finds which of many texts a position begins with.
class Trie {
 public:
  static constexpr uint32_t none = UINT32_MAX;

  // The texts with their values (not `none`); empty ones are left out, of equal ones the last counts.
  explicit Trie(std::vector<std::pair<std::string_view, uint32_t>> texts = {});

  // A place in the trie. The walk starts at root().
  struct Node {
    uint32_t first_child = 0;
    uint32_t value = none;  // of the text that ends here
    uint16_t children = 0;
    uint8_t label = 0;
  };

  const Node* root() const noexcept { return &nodes_[0]; }

  // The next place after `byte`; null where no text goes on.
  const Node* step(const Node* node, char byte) const noexcept {
    const auto label = static_cast<uint8_t>(byte);
    if (node == root()) return first_[label] == 0 ? nullptr : &nodes_[first_[label]];
    const Node* child = &nodes_[node->first_child];
    uint32_t left = node->children;
    while (left > 8) {
      const uint32_t half = left / 2;
      if (child[half].label <= label) {
        child += half;
        left -= half;
      } else {
        left = half;
      }
    }
    for (; left > 0; ++child, --left)
      if (child->label == label) return child;
    return nullptr;
  }

  bool empty() const noexcept { return nodes_[0].children == 0; }

 private:
  std::vector<Node> nodes_;  // the children of a node lie side by side, labels ascending
  uint32_t first_[256] = {};
};

}  // namespace hearth::text
