#include "text/grammar/matcher.h"

#include <algorithm>
#include <functional>
#include <unordered_map>
#include <utility>

#include "base/error.h"

namespace hearth::grammar {

namespace {

constexpr uint64_t most_work = 20'000'000;  // elements visited for one token: a fraction of a second
constexpr size_t most_rows = 12'000;        // 1 KiB each
constexpr size_t most_pairs = 2'000'000;    // 8 bytes each

// The bytes of characters beyond ASCII.
struct Utf8Form {
  size_t size;
  ByteRange bytes[4];
};
constexpr ByteRange tail{0x80, 0xBF};
constexpr Utf8Form utf8_forms[] = {
    {2, {{0xC2, 0xDF}, tail}},
    {3, {{0xE0, 0xE0}, {0xA0, 0xBF}, tail}},
    {3, {{0xE1, 0xEC}, tail, tail}},
    {3, {{0xED, 0xED}, {0x80, 0x9F}, tail}},
    {3, {{0xEE, 0xEF}, tail, tail}},
    {4, {{0xF0, 0xF0}, {0x90, 0xBF}, tail, tail}},
    {4, {{0xF1, 0xF3}, tail, tail, tail}},
    {4, {{0xF4, 0xF4}, {0x80, 0x8F}, tail, tail}},
};

}  // namespace

Matcher::Matcher(std::shared_ptr<const Automaton> automaton)
    : automaton_(std::move(automaton)), beginning_(automaton_->rules.size()) {
  info_.emplace_back();
  elements_.clear();
  begin(automaton_->root, stacks_.root());
  begin_rules();
  if (automaton_->rules[automaton_->root].nullable) elements_.push_back({bottom, 0});
  start_ = finish();
}

void Matcher::count(uint64_t work) {
  work_ += work + stacks_.work() - stacks_seen_;
  stacks_seen_ = stacks_.work();
  if (work_ > most_work)
    throw Error(Code::bad_request,
                "the grammar is too ambiguous to follow: too many ways to read the same text",
                "write it so that fewer rules match the same text");
}

ConfigId Matcher::follow(ConfigId from, std::string_view bytes) {
  for (const char byte : bytes) {
    if (from == dead) break;
    from = step(from, static_cast<uint8_t>(byte));
  }
  return from;
}

ConfigId Matcher::new_step(ConfigId from, uint8_t byte) {
  if (from == dead) return dead;
  unsigned first = 0, last = 255;  // bytes around this one that lead to the same place
  bool was_open = false;
  elements_.clear();
  work_list_.clear();
  seen_.clear();
  for (const uint32_t rank : ranks_) beginning_[rank].clear();  // left behind where the work became too much
  ranks_.clear();
  uint64_t work = 1;
  for (const Pair& element : configs_[from]) {
    if (element.state == hidden) was_open = true;
    if (element.state >= hidden) continue;
    for (const ByteEdge& edge : automaton_->edges(element.state)) {
      ++work;
      if (edge.last < byte) {
        first = std::max(first, edge.last + 1U);
      } else if (edge.first > byte) {
        last = std::min(last, edge.first - 1U);
      } else {
        first = std::max<unsigned>(first, edge.first);
        last = std::min<unsigned>(last, edge.last);
        arrive(edge.to, element.stack);
      }
    }
  }
  settle();
  begin_rules();
  count(work + elements_.size());
  if (was_open) elements_.push_back({hidden, 0});
  const ConfigId to = finish();
  if (info_[from].row == no_row) {
    info_[from].row = static_cast<uint32_t>(rows_.size());
    rows_.emplace_back().fill(not_known);
  }
  for (unsigned b = first; b <= last; ++b) rows_[info_[from].row][b] = to;
  return to;
}

// Something of the state's rule has been matched.
void Matcher::arrive(uint32_t state, StackId stack) {
  if (stacks_.depth(stack) + automaton_->need(state) > most_frames) return;
  if (seen_.insert({state, stack})) work_list_.push_back({state, stack});
}

// Goes over all jumps and returns from where the byte led; collects what can take the next byte, and the
// rules that begin.
void Matcher::settle() {
  while (!work_list_.empty()) {
    const auto [state, stack] = work_list_.back();
    work_list_.pop_back();
    count(1 + automaton_->jumps(state).size() + automaton_->calls(state).size());
    if (automaton_->is_end(state)) {
      for (size_t i = 0; i < stacks_.frames(stack).size(); ++i) {
        const Pair frame = stacks_.frames(stack)[i];
        if (frame.state >= hidden) {
          elements_.push_back({frame.state, 0});
        } else {
          arrive(frame.state, frame.stack);
        }
      }
    }
    for (const uint32_t to : automaton_->jumps(state)) arrive(to, stack);
    for (const Call& c : automaton_->calls(state)) {
      call(c, stack);
      if (automaton_->rules[c.rule].nullable) arrive(c.back, stack);
    }
    if (!automaton_->edges(state).empty() &&
        stacks_.depth(stack) + automaton_->step_need(state) <= most_frames)
      elements_.push_back({state, stack});
  }
}

void Matcher::call(const Call& call, StackId stack) {
  if (stacks_.depth(stack) + automaton_->need(call.back) > most_frames) return;
  const StackId below = automaton_->is_tail(call.back) ? stack : stacks_.push(call.back, stack);
  begin(call.rule, below);
}

void Matcher::begin(RuleId rule, StackId stack) {
  const uint32_t rank = automaton_->rules[rule].rank;
  if (beginning_[rank].empty()) {
    ranks_.push_back(rank);
    std::push_heap(ranks_.begin(), ranks_.end(), std::greater<>());
  }
  beginning_[rank].push_back(stack);
}

// A rule that begins is entered once, after all rules that can begin with it, with all its stacks together.
void Matcher::begin_rules() {
  while (!ranks_.empty()) {
    std::pop_heap(ranks_.begin(), ranks_.end(), std::greater<>());
    const uint32_t rank = ranks_.back();
    ranks_.pop_back();
    const StackId stack = stacks_.merge(beginning_[rank]);
    const Automaton::Rule& rule = automaton_->rules[automaton_->by_rank[rank]];
    for (const uint32_t state : rule.entry_steps)
      if (stacks_.depth(stack) + automaton_->step_need(state) <= most_frames)
        elements_.push_back({state, stack});
    for (const uint32_t state : rule.entry_calls)
      for (const Call& c : automaton_->calls(state)) call(c, stack);
    count(1 + rule.entry_steps.size() + rule.entry_calls.size());
  }
}

// The elements in order, those of the same state as one.
ConfigId Matcher::finish() {
  std::sort(elements_.begin(), elements_.end());
  size_t kept = 0;
  for (size_t i = 0; i < elements_.size(); ++i) {
    if (kept > 0 && elements_[kept - 1].state == elements_[i].state) {
      elements_[kept - 1].stack = stacks_.merge(elements_[kept - 1].stack, elements_[i].stack);
    } else {
      elements_[kept++] = elements_[i];
    }
  }
  elements_.resize(kept);
  return intern(elements_);
}

ConfigId Matcher::intern(std::span<const Pair> elements) {
  bool fresh = false;
  const ConfigId id = configs_.intern(elements, &fresh);
  if (!fresh) return id;
  Info info;
  for (const Pair& element : elements) {
    info.flags |= element.state == bottom ? accepting : element.state == hidden ? opened : steps;
    info.depth = std::max(info.depth, stacks_.depth(element.stack));
  }
  info_.push_back(info);
  return id;
}

ConfigId Matcher::top(ConfigId id, uint32_t levels) {
  std::vector<Pair> elements(configs_[id].begin(), configs_[id].end());
  for (Pair& element : elements)
    if (element.state < hidden) element.stack = stacks_.top(element.stack, levels);
  count(elements.size());
  return intern(elements);
}

// Where every character of text leads; `dead` if not all lead to one place.
ConfigId Matcher::after_text(ConfigId id) {
  if (info_[id].after_text != not_known) return info_[id].after_text;
  ConfigId next = step(id, ' ');
  for (unsigned b = 0x20; b < 0x7F && next != dead; ++b)
    if (is_plain(static_cast<uint8_t>(b)) && step(id, static_cast<uint8_t>(b)) != next) next = dead;
  for (const Utf8Form& form : utf8_forms) {
    std::vector<ConfigId> here{id};
    for (size_t i = 0; i < form.size && next != dead; ++i) {
      std::vector<ConfigId> there;
      for (const ConfigId from : here) {
        for (unsigned b = form.bytes[i].first; b <= form.bytes[i].last; ++b) {
          const ConfigId to = step(from, static_cast<uint8_t>(b));
          if (there.empty() ||
              (there.back() != to && std::find(there.begin(), there.end(), to) == there.end()))
            there.push_back(to);
        }
      }
      if (there.size() > 4) next = dead;
      here = std::move(there);
    }
    if (next == dead || here.size() != 1 || here[0] != next) {
      next = dead;
      break;
    }
  }
  info_[id].after_text = next;
  return next;
}

uint8_t Matcher::new_text_run(ConfigId id) {
  const ConfigId first = id;
  uint8_t run = 0;
  while (run < longest_run) {
    const ConfigId next = after_text(id);
    if (!alive(next)) break;
    run = next == id ? longest_run : static_cast<uint8_t>(run + 1);
    id = next;
  }
  info_[first].run = run;
  return run;
}

bool Matcher::compact(std::span<ConfigId*> kept) {
  if (rows_.size() < most_rows && configs_.pairs() < most_pairs && stacks_.size() < most_pairs) return false;
  Stacks stacks;
  std::vector<std::vector<Pair>> lists;
  std::unordered_map<StackId, StackId> known;
  const auto copy = [&](ConfigId id) {
    std::vector<Pair>& list = lists.emplace_back(configs_[id].begin(), configs_[id].end());
    for (Pair& element : list)
      if (element.state < hidden) element.stack = stacks_.copy_to(stacks, element.stack, known);
  };
  copy(start_);
  for (const ConfigId* id : kept) copy(*id);
  stacks_ = std::move(stacks);
  stacks_seen_ = 0;
  configs_ = PairLists();
  info_.assign(1, Info());
  rows_.clear();
  start_ = intern(lists[0]);
  for (size_t i = 0; i < kept.size(); ++i) *kept[i] = intern(lists[i + 1]);
  return true;
}

}  // namespace hearth::grammar
