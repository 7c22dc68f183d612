#include "text/grammar/builder.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace hearth::grammar {

namespace {

constexpr uint64_t most_states = 400'000;
constexpr uint64_t most_edges = 2'000'000;
constexpr uint64_t copied_states = 48;  // a rule of at most so many is copied to where it is used
constexpr uint32_t most_copies = 16;    // of rules within rules; bounds the recursion
// A repetition that would make more states than this calls its content, and counts in blocks of this many.
constexpr uint64_t block_states = 4096;

uint64_t add(uint64_t a, uint64_t b) { return std::min<uint64_t>(a + b, 1ULL << 40); }

// How many of a weight make a block.
uint64_t block_of(uint64_t weight) {
  return std::max<uint64_t>(block_states / std::max<uint64_t>(weight, 1), 64);
}

void rules_used(const Tree& tree, NodeId id, std::vector<uint32_t>& out) {
  const Node& node = tree.node(id);
  if (node.kind == Node::Kind::rule) out.push_back(node.rule);
  for (const NodeId child : node.children) rules_used(tree, child, out);
  for (const GraphEdge& edge : node.edges) rules_used(tree, edge.label, out);
}

}  // namespace

Builder::Weight Builder::weigh(NodeId id) const {
  const Node& node = tree_.node(id);
  Weight sum;
  const auto plus = [&](const Weight& w) {
    sum.states = add(sum.states, w.states);
    sum.copies = std::max(sum.copies, w.copies);
  };
  for (const NodeId child : node.children) plus(weigh(child));
  for (const GraphEdge& edge : node.edges) plus(weigh(edge.label));
  switch (node.kind) {
    case Node::Kind::literal: return {node.literal.size(), 0};
    case Node::Kind::set:
      return {node.set.ranges().empty() || node.set.ranges().back().last < 0x80 ? 1U : 8U, 0};
    case Node::Kind::sequence:
    case Node::Kind::choice: return sum;
    case Node::Kind::repeat: {
      const uint32_t times = node.max == unbounded ? node.min + 1 : node.max;
      sum.states = std::min(add(sum.states, 1) * std::max(times, 1U), 2 * block_states);
      return sum;
    }
    case Node::Kind::rule:
      if (!copied(node.rule)) return {1, 0};
      return {weights_[node.rule].states, weights_[node.rule].copies + 1};
    case Node::Kind::graph: sum.states = add(sum.states, node.states); return sum;
  }
  return sum;
}

// Which rules are copied to where they are used: small ones that do not use themselves.
void Builder::weigh_rules() {
  std::vector<std::vector<uint32_t>> uses(tree_.rule_count());
  for (RuleId r = 0; r < tree_.rule_count(); ++r) {
    if (!tree_.rule(r).defined)
      throw Error(Code::bad_request, fmt::format("the rule \"{}\" is not defined", tree_.rule(r).name),
                  "define it or correct its name");
    rules_used(tree_, tree_.rule(r).body, uses[r]);
    names.push_back(tree_.rule(r).name);
  }
  weights_.resize(uses.size());
  copied_.assign(uses.size(), false);
  for (const std::vector<uint32_t>& part : components(uses)) {
    const RuleId r = part[0];
    const bool recursive = part.size() > 1 || std::find(uses[r].begin(), uses[r].end(), r) != uses[r].end();
    if (recursive) continue;
    weights_[r] = weigh(tree_.rule(r).body);
    copied_[r] = !tree_.rule(r).own && r != tree_.root && weights_[r].states <= copied_states &&
                 weights_[r].copies < most_copies;
  }
}

Automaton Builder::build() {
  weigh_rules();
  rules_.resize(tree_.rule_count());
  for (RuleId r = 0; r < tree_.rule_count(); ++r) {
    current_ = r;
    rules_[r].start = state();
    rules_[r].end = state();
  }
  for (RuleId r = 0; r < tree_.rule_count(); ++r) {
    if (copied(r)) continue;
    current_ = r;
    put(tree_.rule(r).body, rules_[r].start, rules_[r].end);
  }
  return sorted();
}

uint32_t Builder::state() {
  rule_of.push_back(current_);
  check_size();
  return static_cast<uint32_t>(rule_of.size() - 1);
}

void Builder::jump(uint32_t from, uint32_t to) {
  if (from != to) jumps_.push_back({from, to});
}

void Builder::check_size() const {
  if (rule_of.size() <= most_states && edges_.size() <= most_edges && jumps_.size() <= most_edges) return;
  throw Error(
      Code::bad_request,
      fmt::format("the grammar is too large: more than {} states in \"{}\"", most_states, names[current_]),
      "use smaller repetitions or fewer alternatives");
}

RuleId Builder::new_rule(const Put& body) {
  const RuleId outer = current_;
  const auto made = static_cast<RuleId>(rules_.size());
  names.push_back(names[outer]);
  rules_.emplace_back();
  current_ = made;
  const uint32_t start = state(), end = state();
  rules_[made].start = start;
  rules_[made].end = end;
  body(start, end);
  current_ = outer;
  return made;
}

// `to` never gets a way out here and `from` never a way in, so alternatives can share both.
void Builder::put(NodeId id, uint32_t from, uint32_t to) {
  const Node& node = tree_.node(id);
  switch (node.kind) {
    case Node::Kind::literal: put_literal(node.literal, from, to); break;
    case Node::Kind::set: put_set(node.set, from, to); break;
    case Node::Kind::sequence:
      for (size_t i = 0; i + 1 < node.children.size(); ++i) {
        const uint32_t middle = state();
        put(node.children[i], from, middle);
        from = middle;
      }
      if (node.children.empty()) jump(from, to);
      if (!node.children.empty()) put(node.children.back(), from, to);
      break;
    case Node::Kind::choice:
      for (const NodeId child : node.children) put(child, from, to);
      break;
    case Node::Kind::repeat: put_repeat(node, from, to); break;
    case Node::Kind::rule:
      if (copied(node.rule)) {
        put(tree_.rule(node.rule).body, from, to);
      } else {
        call(from, node.rule, to);
      }
      break;
    case Node::Kind::graph: put_graph(node, from, to); break;
  }
}

void Builder::put_literal(const std::string& bytes, uint32_t from, uint32_t to) {
  if (bytes.empty()) jump(from, to);
  for (size_t i = 0; i < bytes.size(); ++i) {
    const uint32_t next = i + 1 == bytes.size() ? to : state();
    const auto byte = static_cast<uint8_t>(bytes[i]);
    edges_.push_back({from, {byte, byte, next}});
    from = next;
  }
}

void Builder::put_set(const CodepointSet& set, uint32_t from, uint32_t to) {
  std::unordered_map<std::string, uint32_t> after;  // the byte ranges that must follow -> state
  for (const CodepointRange& range : set.ranges()) {
    utf8_sequences(range, [&](std::span<const ByteRange> bytes) {
      std::string key;
      uint32_t next = to;
      for (size_t i = bytes.size(); i-- > 1;) {
        key.push_back(static_cast<char>(bytes[i].first));
        key.push_back(static_cast<char>(bytes[i].last));
        const auto [it, fresh] = after.emplace(key, 0);
        if (fresh) {
          it->second = state();
          edges_.push_back({it->second, {bytes[i].first, bytes[i].last, next}});
        }
        next = it->second;
      }
      edges_.push_back({from, {bytes[0].first, bytes[0].last, next}});
    });
    check_size();
  }
}

void Builder::put_graph(const Node& node, uint32_t from, uint32_t to) {
  std::vector<uint32_t> states;
  for (uint32_t i = 0; i < node.states; ++i) states.push_back(state());
  jump(from, states[0]);
  for (const GraphEdge& edge : node.edges) put(edge.label, states[edge.from], states[edge.to]);
  for (const uint32_t final : node.finals) jump(states[final], to);
}

void Builder::put_repeat(const Node& node, uint32_t from, uint32_t to) {
  const NodeId child = node.children[0];
  const uint64_t weight = weigh(child).states + 1;
  const uint64_t times = node.max == unbounded ? node.min + 1ULL : node.max;
  if (weight > 16 && weight * times > block_states && tree_.node(child).kind != Node::Kind::rule) {
    const RuleId shared = new_rule([&](uint32_t start, uint32_t end) { put(child, start, end); });
    put_times([&, shared](uint32_t a, uint32_t b) { call(a, shared, b); }, 1, node.min, node.max, from, to);
  } else {
    put_times([&](uint32_t a, uint32_t b) { put(child, a, b); }, weight, node.min, node.max, from, to);
  }
}

// min … max times `once`, each with states of its own.
void Builder::put_times(const Put& once, uint64_t weight, uint32_t min, uint32_t max, uint32_t from,
                        uint32_t to) {
  const uint64_t times = max == unbounded ? min : max;
  if (times > 2 * block_of(weight)) {
    put_blocks(once, weight, min, max, from, to);
    return;
  }
  for (uint32_t i = 0; i < min; ++i) {
    const uint32_t next = state();
    once(from, next);
    from = next;
  }
  if (max == unbounded) {
    const uint32_t loop = state();
    jump(from, loop);
    once(loop, loop);
    jump(loop, to);
    return;
  }
  for (uint32_t i = min; i < max; ++i) {
    const uint32_t inside = state(), next = state();
    jump(from, to);
    jump(from, inside);
    once(inside, next);
    from = next;
  }
  jump(from, to);
}

// The same for large counts, with a rule that matches a whole block of n.
void Builder::put_blocks(const Put& once, uint64_t weight, uint32_t min, uint32_t max, uint32_t from,
                         uint32_t to) {
  const auto n = static_cast<uint32_t>(block_of(weight));
  const RuleId rule =
      new_rule([&](uint32_t start, uint32_t end) { put_times(once, weight, n, n, start, end); });
  const Put block = [&](uint32_t a, uint32_t b) { call(a, rule, b); };
  const auto both = [&](uint32_t blocks_min, uint32_t blocks_max, uint32_t ones_min, uint32_t ones_max,
                        uint32_t a, uint32_t b) {
    const uint32_t between = state();
    put_times(block, 1, blocks_min, blocks_max, a, between);
    put_times(once, weight, ones_min, ones_max, between, b);
  };
  const uint32_t middle = state();
  both(min / n, min / n, min % n, min % n, from, middle);
  if (max == unbounded) {
    put_times(once, weight, 0, unbounded, middle, to);
    return;
  }
  // Of the rest q·n + r: fewer than q blocks and less than a block, or q blocks and up to r.
  const uint32_t rest = max - min;
  if (rest >= n) both(0, rest / n - 1, 0, n - 1, middle, to);
  both(rest / n, rest / n, 0, rest % n, middle, to);
}

Automaton Builder::sorted() const {
  Automaton a;
  const auto states = static_cast<uint32_t>(rule_of.size());
  const auto order = [states](const auto& pairs, auto& out, std::vector<uint32_t>& at) {
    at.assign(states + 1, 0);
    for (const auto& [from, what] : pairs) ++at[from + 1];
    for (uint32_t i = 0; i < states; ++i) at[i + 1] += at[i];
    out.resize(pairs.size());
    std::vector<uint32_t> next(at.begin(), at.end() - 1);
    for (const auto& [from, what] : pairs) out[next[from]++] = what;
  };
  order(edges_, a.edges_, a.edge_at_);
  order(jumps_, a.jumps_, a.jump_at_);
  order(calls_, a.calls_, a.call_at_);
  a.flags_.assign(states, 0);
  a.rules = rules_;
  a.root = tree_.root;
  for (const Automaton::Rule& rule : a.rules) a.flags_[rule.end] |= Automaton::end_flag;
  return a;
}

}  // namespace hearth::grammar
