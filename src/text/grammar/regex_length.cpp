#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "text/grammar/regex.h"

namespace hearth::grammar {

namespace {

constexpr size_t most_states = 40'000;

[[noreturn]] void too_large() {
  throw Error(Code::unsupported, "a pattern together with a length that takes too many states",
              "say the length within the pattern");
}

// A non-deterministic automaton whose steps take one character each.
class Steps {
 public:
  explicit Steps(const Tree& tree) : tree_(tree) {}

  struct Step {
    const CodepointSet* set;
    uint32_t to;
  };
  std::vector<std::vector<Step>> steps;
  std::vector<std::vector<uint32_t>> jumps;

  uint32_t state() {
    if (steps.size() >= most_states) too_large();
    steps.emplace_back();
    jumps.emplace_back();
    return static_cast<uint32_t>(steps.size() - 1);
  }

  void put(NodeId id, uint32_t from, uint32_t to) {
    const Node& node = tree_.node(id);
    if (node.kind == Node::Kind::set) {
      steps[from].push_back({&node.set, to});
    } else if (node.kind == Node::Kind::choice) {
      for (const NodeId child : node.children) put(child, from, to);
    } else if (node.kind == Node::Kind::repeat) {
      put_repeat(node, from, to);
    } else {
      for (const NodeId child : node.children) {
        const uint32_t next = state();
        put(child, from, next);
        from = next;
      }
      jumps[from].push_back(to);
    }
  }

  // All states reached without a character.
  std::vector<uint32_t> closure(uint32_t from) const {
    std::vector<uint32_t> found{from};
    std::set<uint32_t> seen{from};
    for (size_t i = 0; i < found.size(); ++i)
      for (const uint32_t to : jumps[found[i]])
        if (seen.insert(to).second) found.push_back(to);
    return found;
  }

 private:
  void put_repeat(const Node& node, uint32_t from, uint32_t to) {
    const uint32_t copies = node.max == unbounded ? node.min : node.max;
    for (uint32_t i = 0; i < copies; ++i) {
      if (i >= node.min) jumps[from].push_back(to);
      const uint32_t inside = state(), next = state();
      jumps[from].push_back(inside);
      put(node.children[0], inside, next);
      from = next;
    }
    if (node.max == unbounded) {
      const uint32_t loop = state();
      jumps[from].push_back(loop);
      put(node.children[0], loop, loop);
      from = loop;
    }
    jumps[from].push_back(to);
  }

  const Tree& tree_;
};

}  // namespace

NodeId with_length(Tree& tree, NodeId node, uint32_t min, uint32_t max, const CharacterNode& character) {
  Steps automaton(tree);
  const uint32_t start = automaton.state(), end = automaton.state();
  automaton.put(node, start, end);
  // States of the product: where the pattern stands, and how many characters there were (from `min` on all
  // the same if there is no maximum).
  using Key = std::pair<uint32_t, uint32_t>;
  const uint32_t counted = max == unbounded ? min : max;
  std::vector<Key> states{{start, 0}};
  std::unordered_map<uint64_t, uint32_t> known{{uint64_t{start} << 32, 0}};
  const auto number = [&](Key key) {
    const auto [it, fresh] = known.emplace(uint64_t{key.first} << 32 | key.second, states.size());
    if (fresh) states.push_back(key);
    if (states.size() > most_states) too_large();
    return it->second;
  };
  std::vector<std::tuple<uint32_t, const CodepointSet*, uint32_t>> found;
  std::vector<uint32_t> finals;
  for (uint32_t i = 0; i < states.size(); ++i) {
    const auto [at, count] = states[i];
    for (const uint32_t inner : automaton.closure(at)) {
      if (inner == end && count >= min) finals.push_back(i);
      const uint32_t next = max == unbounded ? std::min(count + 1, counted) : count + 1;
      if (next > counted) continue;
      for (const Steps::Step& step : automaton.steps[inner])
        found.emplace_back(i, step.set, number({step.to, next}));
      if (found.size() > 4 * most_states) too_large();
    }
  }
  std::unordered_map<const CodepointSet*, std::vector<size_t>> by_set;
  for (size_t i = 0; i < found.size(); ++i) by_set[std::get<1>(found[i])].push_back(i);
  std::vector<std::pair<CodepointSet, std::vector<size_t>>> sets;  // copies: making nodes moves the old ones
  sets.reserve(by_set.size());
  for (const auto& [set, edges] : by_set) sets.emplace_back(*set, edges);
  std::vector<GraphEdge> edges(found.size());
  for (const auto& [set, places] : sets) {
    const NodeId label = character(set);
    for (const size_t i : places) edges[i] = {std::get<0>(found[i]), label, std::get<2>(found[i])};
  }
  return tree.graph(static_cast<uint32_t>(states.size()), std::move(edges), std::move(finals));
}

}  // namespace hearth::grammar
