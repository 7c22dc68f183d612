#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "text/grammar/tree.h"

namespace hearth::grammar {

struct ByteEdge {
  uint8_t first = 0, last = 0;
  uint32_t to = 0;
};

// Match the rule, then go on at `back`.
struct Call {
  RuleId rule = 0;
  uint32_t back = 0;
};

// Calls that are open at one time at most. Bounds what a nested text can cost; nothing that could not be
// finished within it is ever begun, so it never leads into a dead end.
constexpr uint32_t most_frames = 1024;

// A pushdown automaton over bytes: one non-deterministic automaton per rule, which call each other. Each
// state belongs to one rule. What cannot lead to the end of a text is not in it, and no rule begins with
// itself.
class Automaton {
 public:
  struct Rule {
    uint32_t start = 0;
    uint32_t end = 0;       // has no way out
    uint32_t rank = 0;      // lower than that of each rule it can begin with
    bool nullable = false;  // matches the empty text; then each call of it has a jump beside it
    // States reached from the start over jumps that have byte edges (steps) or calls.
    std::vector<uint32_t> entry_steps, entry_calls;
  };

  std::vector<Rule> rules;
  std::vector<RuleId> by_rank;
  RuleId root = 0;

  std::span<const ByteEdge> edges(uint32_t state) const { return part(edges_, edge_at_, state); }
  std::span<const uint32_t> jumps(uint32_t state) const { return part(jumps_, jump_at_, state); }
  std::span<const Call> calls(uint32_t state) const { return part(calls_, call_at_, state); }
  bool is_end(uint32_t state) const { return (flags_[state] & end_flag) != 0; }
  // Nothing is left of the rule in this state: a call that comes back here need not come back.
  bool is_tail(uint32_t state) const { return (flags_[state] & tail_flag) != 0; }
  // Calls that must be open at one time, beside those that are, to get from the state to the end of its rule.
  uint32_t need(uint32_t state) const { return need_[state]; }
  // The same where the next thing is a byte.
  uint32_t step_need(uint32_t state) const { return step_need_[state]; }
  uint32_t states() const { return static_cast<uint32_t>(flags_.size()); }

 private:
  friend class Builder;
  friend class Analysis;

  template <class T>
  static std::span<const T> part(const std::vector<T>& all, const std::vector<uint32_t>& at, uint32_t state) {
    return std::span(all).subspan(at[state], at[state + 1] - at[state]);
  }

  static constexpr uint8_t end_flag = 1, tail_flag = 2;

  std::vector<ByteEdge> edges_;
  std::vector<uint32_t> jumps_;
  std::vector<Call> calls_;
  std::vector<uint32_t> edge_at_, jump_at_, call_at_;  // [states + 1]
  std::vector<uint8_t> flags_;                         // [states]
  std::vector<uint32_t> need_, step_need_;             // [states]
};

// Throws Error(bad_request): a rule that is not defined, one that begins with itself (left recursion), a
// grammar that no text matches, one that is too large.
Automaton compile(const Tree& tree);

// Strongly connected parts of the graph `next` (adjacency lists), those that are reached before those that
// reach them.
std::vector<std::vector<uint32_t>> components(const std::vector<std::vector<uint32_t>>& next);

}  // namespace hearth::grammar
