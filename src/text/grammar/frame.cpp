// What stands around an answer that is held to a grammar.
#include "text/grammar/frame.h"

#include <algorithm>
#include <map>
#include <vector>

namespace hearth::grammar {
namespace {

// The edges of an automaton (Knuth, Morris, Pratt) that looks for the marker: state i has seen its first i
// code points, the last state all of them.
struct Search {
  uint32_t end = 0;
  std::vector<GraphEdge> edges;
};

Search search(Tree& tree, std::string_view marker) {
  std::vector<char32_t> points;
  while (!marker.empty()) points.push_back(take_codepoint(marker));
  const auto end = static_cast<uint32_t>(points.size());
  std::vector<CodepointRange> letters;
  letters.reserve(points.size());
  for (const char32_t c : points) letters.push_back({c, c});
  const CodepointSet alphabet(letters);
  std::vector<uint32_t> fallback(end, 0);
  const auto next = [&](uint32_t state, char32_t c) {
    while (state > 0 && points[state] != c) state = fallback[state - 1];
    return points[state] == c ? state + 1 : 0U;
  };
  for (uint32_t i = 1; i < end; ++i) fallback[i] = next(fallback[i - 1], points[i]);
  Search found{end, {}};
  for (uint32_t state = 0; state < end; ++state) {
    std::map<uint32_t, CodepointSet> to{{0, alphabet.inverted()}};
    for (const char32_t c : points) to[next(state, c)] = to[next(state, c)].joined(CodepointSet::of(c));
    for (const auto& [target, set] : to) found.edges.push_back({state, tree.set(set), target});
  }
  return found;
}

}  // namespace

NodeId text_then(Tree& tree, std::string_view marker, NodeId rest) {
  Search s = search(tree, marker);
  std::vector<uint32_t> finals;
  for (uint32_t i = 0; i < s.end; ++i) finals.push_back(i);
  finals.push_back(s.end + 1);
  s.edges.push_back({s.end, rest, s.end + 1});
  return tree.graph(s.end + 2, std::move(s.edges), std::move(finals));
}

NodeId text_through(Tree& tree, std::string_view marker) {
  Search s = search(tree, marker);
  return tree.graph(s.end + 1, std::move(s.edges), {s.end});
}

NodeId gap(Tree& tree) {
  constexpr uint32_t most = 4;
  return tree.repeat(tree.set(CodepointSet({{' ', ' '}, {'\n', '\n'}, {'\t', '\t'}, {'\r', '\r'}})), 0, most);
}

NodeId earlier_messages(Tree& tree) {
  const NodeId kind = tree.choice({tree.literal("analysis"), tree.literal("commentary")});
  const NodeId message = tree.sequence({tree.literal("<|channel|>"), kind, tree.literal("<|message|>"),
                                        text_through(tree, "<|end|>"), tree.literal("<|start|>assistant")});
  return tree.repeat(tree.rule("earlier message", message), 0, unbounded);
}

NodeId with_thinking(Tree& tree, NodeId answer, const GrammarFrame& frame) {
  if (frame.channels) {
    const NodeId kind =
        tree.optional(tree.sequence({tree.optional(tree.literal(" ")),
                                     tree.optional(tree.literal("<|constrain|>")), tree.literal("json")}));
    return tree.sequence({earlier_messages(tree), tree.literal("<|channel|>final"), kind,
                          tree.literal("<|message|>"), answer});
  }
  if (frame.think_close.empty()) return answer;
  const NodeId thought = tree.sequence({text_through(tree, frame.think_close), gap(tree)});
  if (frame.opened) return tree.sequence({thought, answer});
  if (frame.think_open.empty()) return answer;
  const NodeId whole = tree.sequence({gap(tree), tree.literal(frame.think_open), thought});
  return tree.sequence({tree.optional(whole), answer});
}

Tree framed(Tree tree, const GrammarFrame& frame) {
  const NodeId answer = tree.use(tree.root);
  const NodeId whole = with_thinking(tree, answer, frame);
  if (whole == answer) return tree;
  tree.root = tree.declare("framed answer");
  tree.define(tree.root, whole);
  return tree;
}

}  // namespace hearth::grammar
