#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "text/grammar/codepoints.h"

namespace hearth::grammar {

using NodeId = uint32_t;
using RuleId = uint32_t;

constexpr uint32_t unbounded = std::numeric_limits<uint32_t>::max();

// A step of a graph: from one of its states to another over what the label matches.
struct GraphEdge {
  uint32_t from = 0;
  NodeId label = 0;
  uint32_t to = 0;
};

struct Node {
  // graph: `states` many, 0 is the start, `finals` are where it may be left.
  enum class Kind : uint8_t { literal, set, sequence, choice, repeat, rule, graph };
  Kind kind = Kind::literal;
  uint16_t height = 1;           // of the tree below, without what rules hold
  uint32_t min = 0, max = 0;     // repeat; max may be `unbounded`
  RuleId rule = 0;               // rule
  uint32_t states = 0;           // graph
  std::string literal;           // bytes
  CodepointSet set;              // set
  std::vector<NodeId> children;  // sequence, choice; repeat: one
  std::vector<GraphEdge> edges;
  std::vector<uint32_t> finals;
};

struct Rule {
  std::string name;
  NodeId body = 0;
  bool defined = false;
  bool own = false;  // never copied to where it is used: its token masks serve all its users
};

// A grammar as it was written: what GBNF and schemas are parsed to. Nodes are made bottom-up and never
// change; using one twice means matching it at both places. Throws Error(bad_request) when it grows too large
// or deep.
class Tree {
 public:
  NodeId literal(std::string bytes);
  NodeId empty() { return literal({}); }
  NodeId set(CodepointSet set);
  NodeId sequence(std::vector<NodeId> parts);
  NodeId choice(std::vector<NodeId> alternatives);  // of none: matches nothing at all
  NodeId repeat(NodeId what, uint32_t min, uint32_t max);
  NodeId optional(NodeId what) { return repeat(what, 0, 1); }
  NodeId use(RuleId rule);
  NodeId graph(uint32_t states, std::vector<GraphEdge> edges, std::vector<uint32_t> finals);

  RuleId declare(std::string name, bool own = false);
  void define(RuleId rule, NodeId body);
  // Declares, defines and uses.
  NodeId rule(std::string name, NodeId body, bool own = false);

  const Node& node(NodeId id) const { return nodes_[id]; }
  const Rule& rule(RuleId id) const { return rules_[id]; }
  uint32_t rule_count() const { return static_cast<uint32_t>(rules_.size()); }

  RuleId root = 0;

 private:
  NodeId add(Node node);

  std::vector<Node> nodes_;
  std::vector<Rule> rules_;
};

}  // namespace hearth::grammar
