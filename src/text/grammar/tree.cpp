#include "text/grammar/tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace hearth::grammar {

namespace {

constexpr size_t most_nodes = 500'000;
constexpr uint16_t most_height = 400;  // bounds the recursion of whatever walks a tree

}  // namespace

NodeId Tree::add(Node node) {
  uint16_t below = 0;
  for (const NodeId child : node.children) below = std::max(below, nodes_[child].height);
  for (const GraphEdge& edge : node.edges) below = std::max(below, nodes_[edge.label].height);
  node.height = static_cast<uint16_t>(below + 1);
  if (node.height > most_height)
    throw Error(Code::bad_request, fmt::format("the grammar is nested more than {} deep", most_height),
                "split it into rules or definitions");
  if (nodes_.size() >= most_nodes)
    throw Error(Code::bad_request, fmt::format("the grammar has more than {} parts", most_nodes),
                "use a smaller grammar");
  nodes_.push_back(std::move(node));
  return static_cast<NodeId>(nodes_.size() - 1);
}

NodeId Tree::literal(std::string bytes) {
  Node node;
  node.literal = std::move(bytes);
  return add(std::move(node));
}

NodeId Tree::set(CodepointSet set) {
  Node node;
  node.kind = Node::Kind::set;
  node.set = std::move(set);
  return add(std::move(node));
}

NodeId Tree::sequence(std::vector<NodeId> parts) {
  if (parts.size() == 1) return parts[0];
  Node node;
  node.kind = Node::Kind::sequence;
  node.children = std::move(parts);
  return add(std::move(node));
}

NodeId Tree::choice(std::vector<NodeId> alternatives) {
  if (alternatives.size() == 1) return alternatives[0];
  Node node;
  node.kind = Node::Kind::choice;
  node.children = std::move(alternatives);
  return add(std::move(node));
}

NodeId Tree::repeat(NodeId what, uint32_t min, uint32_t max) {
  if (min == 1 && max == 1) return what;
  Node node;
  node.kind = Node::Kind::repeat;
  node.children = {what};
  node.min = min;
  node.max = max;
  return add(std::move(node));
}

NodeId Tree::use(RuleId rule) {
  Node node;
  node.kind = Node::Kind::rule;
  node.rule = rule;
  return add(std::move(node));
}

NodeId Tree::graph(uint32_t states, std::vector<GraphEdge> edges, std::vector<uint32_t> finals) {
  Node node;
  node.kind = Node::Kind::graph;
  node.states = states;
  node.edges = std::move(edges);
  node.finals = std::move(finals);
  return add(std::move(node));
}

RuleId Tree::declare(std::string name, bool own) {
  Rule rule;
  rule.name = std::move(name);
  rule.own = own;
  rules_.push_back(std::move(rule));
  return static_cast<RuleId>(rules_.size() - 1);
}

void Tree::define(RuleId rule, NodeId body) {
  rules_[rule].body = body;
  rules_[rule].defined = true;
}

NodeId Tree::rule(std::string name, NodeId body, bool own) {
  const RuleId id = declare(std::move(name), own);
  define(id, body);
  return use(id);
}

}  // namespace hearth::grammar
