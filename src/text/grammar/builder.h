#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "text/grammar/automaton.h"

namespace hearth::grammar {

// Makes the states, edges, jumps and calls of an automaton from a tree.
class Builder {
 public:
  explicit Builder(const Tree& tree) : tree_(tree) {}
  // Everything but what Analysis adds.
  Automaton build();

  // States of the rules, for messages and for Analysis: rule_of[state].
  std::vector<RuleId> rule_of;
  // The names of the rules; those made for long repetitions have the name of the rule they are in.
  std::vector<std::string> names;

 private:
  // Puts something between two states.
  using Put = std::function<void(uint32_t, uint32_t)>;

  struct Weight {
    uint64_t states = 0;
    uint32_t copies = 0;  // of rules within rules
  };

  void weigh_rules();
  Weight weigh(NodeId id) const;
  bool copied(RuleId rule) const { return copied_[rule]; }
  uint32_t state();
  void jump(uint32_t from, uint32_t to);
  void call(uint32_t from, RuleId rule, uint32_t to) { calls_.push_back({from, {rule, to}}); }
  void put(NodeId id, uint32_t from, uint32_t to);
  void put_literal(const std::string& bytes, uint32_t from, uint32_t to);
  void put_set(const CodepointSet& set, uint32_t from, uint32_t to);
  void put_graph(const Node& node, uint32_t from, uint32_t to);
  void put_repeat(const Node& node, uint32_t from, uint32_t to);
  void put_times(const Put& once, uint64_t weight, uint32_t min, uint32_t max, uint32_t from, uint32_t to);
  void put_blocks(const Put& once, uint64_t weight, uint32_t min, uint32_t max, uint32_t from, uint32_t to);
  RuleId new_rule(const Put& body);
  void check_size() const;
  Automaton sorted() const;

  const Tree& tree_;
  std::vector<Weight> weights_;  // [rule]
  std::vector<bool> copied_;     // [rule]
  RuleId current_ = 0;
  std::vector<Automaton::Rule> rules_;
  std::vector<std::pair<uint32_t, ByteEdge>> edges_;
  std::vector<std::pair<uint32_t, uint32_t>> jumps_;
  std::vector<std::pair<uint32_t, Call>> calls_;
};

}  // namespace hearth::grammar
