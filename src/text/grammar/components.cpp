#include <algorithm>

#include "text/grammar/automaton.h"

namespace hearth::grammar {

// Tarjan's algorithm with its own stack instead of recursion: rules can refer to each other in chains of any
// length.
std::vector<std::vector<uint32_t>> components(const std::vector<std::vector<uint32_t>>& next) {
  constexpr uint32_t unseen = 0xFFFFFFFF;
  struct Visit {
    uint32_t node;
    size_t edge;
  };
  std::vector<uint32_t> order(next.size(), unseen), low(next.size(), 0), open;
  std::vector<bool> is_open(next.size(), false);
  std::vector<std::vector<uint32_t>> found;
  std::vector<Visit> path;
  uint32_t count = 0;
  const auto enter = [&](uint32_t node) {
    order[node] = low[node] = count++;
    open.push_back(node);
    is_open[node] = true;
    path.push_back({node, 0});
  };
  for (uint32_t first = 0; first < next.size(); ++first) {
    if (order[first] == unseen) enter(first);
    while (!path.empty()) {
      const uint32_t node = path.back().node;
      if (path.back().edge < next[node].size()) {
        const uint32_t to = next[node][path.back().edge++];
        if (order[to] == unseen) {
          enter(to);
        } else if (is_open[to]) {
          low[node] = std::min(low[node], order[to]);
        }
        continue;
      }
      path.pop_back();
      if (!path.empty()) low[path.back().node] = std::min(low[path.back().node], low[node]);
      if (low[node] != order[node]) continue;
      std::vector<uint32_t>& part = found.emplace_back();
      do {
        part.push_back(open.back());
        is_open[open.back()] = false;
        open.pop_back();
      } while (part.back() != node);
    }
  }
  return found;
}

}  // namespace hearth::grammar
