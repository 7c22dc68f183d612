#include "text/grammar/analysis.h"

#include <fmt/format.h>

#include <algorithm>
#include <queue>
#include <utility>

#include "base/error.h"
#include "text/grammar/builder.h"

namespace hearth::grammar {

namespace {

constexpr uint32_t never = 0xFFFFFFFF;

// Keeps the items that `keep` wants, by state.
template <class T, class Keep>
void filter(std::vector<T>& items, std::vector<uint32_t>& at, const Keep& keep) {
  uint32_t write = 0, read = 0;
  for (size_t state = 0; state + 1 < at.size(); ++state) {
    const uint32_t end = at[state + 1];
    for (; read < end; ++read)
      if (keep(items[read])) items[write++] = items[read];
    at[state + 1] = write;
  }
  items.resize(write);
}

}  // namespace

void Analysis::run() {
  find_nullable();
  find_entries();
  rank_rules();
  find_need();
  if (a_.need_[a_.rules[a_.root].start] == never)
    throw Error(Code::bad_request, "no text matches the grammar", "give its rules an alternative that ends");
  if (a_.need_[a_.rules[a_.root].start] > most_frames)
    throw Error(Code::bad_request,
                fmt::format("every text of the grammar nests more than {} rules", most_frames),
                "write it with fewer levels");
  prune();
  find_tails();
  find_entries();
}

// Marks what each rule's start reaches without a byte; a mark on the end makes the rule nullable, which may
// let marks pass over calls of it.
void Analysis::find_nullable() {
  std::vector<bool> marked(a_.states(), false);
  std::vector<std::vector<uint32_t>> waiting(a_.rules.size());
  std::vector<uint32_t> work;
  const auto mark = [&](uint32_t state) {
    if (marked[state]) return;
    marked[state] = true;
    work.push_back(state);
  };
  first_states_.resize(a_.rules.size());
  for (const Automaton::Rule& rule : a_.rules) mark(rule.start);
  while (!work.empty()) {
    const uint32_t state = work.back();
    work.pop_back();
    const RuleId rule = rule_of_[state];
    first_states_[rule].push_back(state);
    for (const uint32_t to : a_.jumps(state)) mark(to);
    for (const Call& call : a_.calls(state)) {
      if (a_.rules[call.rule].nullable) {
        mark(call.back);
      } else {
        waiting[call.rule].push_back(call.back);
      }
    }
    if (!a_.is_end(state)) continue;
    a_.rules[rule].nullable = true;
    for (const uint32_t back : waiting[rule]) mark(back);
    waiting[rule].clear();
  }
}

// Dijkstra's algorithm from the ends of the rules backwards (Knuth's form of it, for a call waits for two).
void Analysis::find_need() {
  const uint32_t states = a_.states();
  struct Before {
    uint32_t state;
    uint32_t call;  // index into calls_, or `never`
  };
  std::vector<std::vector<Before>> before(states);
  for (uint32_t s = 0; s < states; ++s) {
    for (const ByteEdge& edge : a_.edges(s)) before[edge.to].push_back({s, never});
    for (const uint32_t to : a_.jumps(s)) before[to].push_back({s, never});
    for (uint32_t c = a_.call_at_[s]; c < a_.call_at_[s + 1]; ++c) {
      const Call& call = a_.calls_[c];
      before[call.back].push_back({s, c});
      before[a_.rules[call.rule].start].push_back({s, c});
    }
  }
  std::vector<uint32_t>& need = a_.need_;
  need.assign(states, never);
  std::vector<bool> done(states, false);
  using Entry = std::pair<uint32_t, uint32_t>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue;
  const auto offer = [&](uint32_t state, uint32_t value) {
    if (value >= need[state]) return;
    need[state] = value;
    queue.push({value, state});
  };
  for (const Automaton::Rule& rule : a_.rules) offer(rule.end, 0);
  while (!queue.empty()) {
    const auto [value, state] = queue.top();
    queue.pop();
    if (done[state]) continue;
    done[state] = true;
    for (const Before& b : before[state]) {
      if (b.call == never) {
        offer(b.state, value);
        continue;
      }
      const Call& call = a_.calls_[b.call];
      const uint32_t start = a_.rules[call.rule].start;
      if (done[start] && done[call.back]) offer(b.state, std::max(need[start] + 1, need[call.back]));
    }
  }
}

void Analysis::prune() {
  const std::vector<uint32_t>& need = a_.need_;
  filter(a_.edges_, a_.edge_at_, [&](const ByteEdge& e) { return need[e.to] != never; });
  filter(a_.jumps_, a_.jump_at_, [&](uint32_t to) { return need[to] != never; });
  filter(a_.calls_, a_.call_at_,
         [&](const Call& c) { return need[c.back] != never && need[a_.rules[c.rule].start] != never; });
  a_.step_need_.assign(a_.states(), never);
  for (uint32_t s = 0; s < a_.states(); ++s)
    for (const ByteEdge& edge : a_.edges(s)) a_.step_need_[s] = std::min(a_.step_need_[s], need[edge.to]);
}

void Analysis::find_tails() {
  for (uint32_t s = 0; s < a_.states(); ++s) {
    uint32_t at = s;
    for (int hops = 0; hops < 64 && !a_.is_end(at); ++hops) {
      if (!a_.edges(at).empty() || !a_.calls(at).empty() || a_.jumps(at).size() != 1) break;
      at = a_.jumps(at)[0];
    }
    if (a_.is_end(at)) a_.flags_[s] |= Automaton::tail_flag;
  }
}

void Analysis::find_entries() {
  for (size_t r = 0; r < a_.rules.size(); ++r) {
    std::vector<uint32_t>& states = first_states_[r];
    std::sort(states.begin(), states.end());
    a_.rules[r].entry_steps.clear();
    a_.rules[r].entry_calls.clear();
    for (const uint32_t s : states) {
      if (!a_.edges(s).empty()) a_.rules[r].entry_steps.push_back(s);
      if (!a_.calls(s).empty()) a_.rules[r].entry_calls.push_back(s);
    }
  }
}

void Analysis::rank_rules() {
  std::vector<std::vector<uint32_t>> begins(a_.rules.size());
  for (size_t r = 0; r < a_.rules.size(); ++r)
    for (const uint32_t s : a_.rules[r].entry_calls)
      for (const Call& call : a_.calls(s)) begins[r].push_back(call.rule);
  auto rank = static_cast<uint32_t>(a_.rules.size());
  a_.by_rank.resize(rank);
  for (const std::vector<uint32_t>& part : components(begins)) {
    const uint32_t r = part[0];
    if (part.size() > 1 || std::find(begins[r].begin(), begins[r].end(), r) != begins[r].end()) {
      throw Error(Code::bad_request,
                  part.size() > 1 ? fmt::format("the rule \"{}\" begins with itself, by way of \"{}\"",
                                                names_[part.back()], names_[part.front()])
                                  : fmt::format("the rule \"{}\" begins with itself", names_[r]),
                  "write the recursion on the right: x ::= y x?");
    }
    a_.rules[r].rank = --rank;
    a_.by_rank[rank] = r;
  }
}

Automaton compile(const Tree& tree) {
  Builder builder(tree);
  Automaton automaton = builder.build();
  Analysis(automaton, builder.rule_of, builder.names).run();
  return automaton;
}

}  // namespace hearth::grammar
