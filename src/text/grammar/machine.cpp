#include "text/grammar/machine.h"

#include <algorithm>
#include <utility>

namespace hearth::grammar {

namespace {

constexpr size_t most_bytes = 24U << 20;  // of masks
constexpr uint32_t hidden_below[] = {0, 1, 3};
constexpr uint32_t check_every = 4096;  // nodes

uint64_t key_of(ConfigId config, bool partial) { return uint64_t{config} << 1 | (partial ? 1 : 0); }

}  // namespace

Machine::Machine(std::shared_ptr<const Automaton> automaton, std::shared_ptr<const TokenTable> tokens)
    : tokens_(std::move(tokens)),
      tree_(tokens_->tree()),
      matcher_(std::move(automaton)),
      path_(tree_.longest() + 1, Matcher::dead) {}

size_t Machine::enter() {
  const std::lock_guard lock(mutex_);
  if (free_places_.empty()) {
    places_.push_back(matcher_.start());
    return places_.size() - 1;
  }
  const size_t place = free_places_.back();
  free_places_.pop_back();
  places_[place] = matcher_.start();
  return place;
}

void Machine::leave(size_t place) {
  const std::lock_guard lock(mutex_);
  places_[place] = Matcher::dead;
  free_places_.push_back(place);
}

void Machine::accept(size_t place, TokenId token) {
  const std::string_view bytes = tree_.bytes_of(token);
  const auto& ends = tree_.end_tokens();
  if (bytes.empty() && std::find(ends.begin(), ends.end(), token) != ends.end()) return;
  const std::lock_guard lock(mutex_);
  matcher_.allow_work();
  places_[place] = bytes.empty() ? Matcher::dead : matcher_.follow(places_[place], bytes);
}

void Machine::follow(size_t place, std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  matcher_.allow_work();
  places_[place] = matcher_.follow(places_[place], bytes);
}

bool Machine::may_end(size_t place) {
  const std::lock_guard lock(mutex_);
  return matcher_.accepts(places_[place]);
}

bool Machine::must_end(size_t place) {
  const std::lock_guard lock(mutex_);
  return !matcher_.goes_on(places_[place]);
}

bool Machine::begins(std::string_view text) {
  const std::lock_guard lock(mutex_);
  matcher_.allow_work();
  return matcher_.alive(matcher_.follow(matcher_.start(), text));
}

void Machine::mask(size_t place, std::span<uint64_t> allowed) {
  const std::lock_guard lock(mutex_);
  matcher_.allow_work();
  const auto clear = [&](size_t from) {
    std::fill(allowed.begin() + static_cast<std::ptrdiff_t>(std::min(from, allowed.size())), allowed.end(),
              0);
  };
  const auto is_set = [&](TokenId end) {
    const auto id = static_cast<size_t>(end.value);
    return id / 64 < allowed.size() && (allowed[id / 64] >> (id % 64) & 1) != 0;
  };
  const bool may_end = matcher_.accepts(places_[place]) || !matcher_.goes_on(places_[place]);
  std::vector<TokenId> ends;
  for (const TokenId end : tree_.end_tokens())
    if (may_end && is_set(end)) ends.push_back(end);
  if (matcher_.goes_on(places_[place])) {
    make_room();
    const Mask& mask = allowed_after(places_[place]);
    const size_t words = std::min(allowed.size(), mask.bits.size());
    for (size_t i = 0; i < words; ++i) allowed[i] &= mask.bits[i];
    clear(words);
  } else {
    clear(0);
  }
  for (const TokenId end : ends)
    allowed[static_cast<size_t>(end.value) / 64] |= uint64_t{1} << (end.value % 64);
}

const Machine::Mask& Machine::allowed_after(ConfigId config) {
  if (const Mask* known = find(key_of(config, false))) return *known;
  current_ = config;
  if (matcher_.may_hide(config)) {
    for (const uint32_t levels : hidden_below) {
      bool whole = false;
      const Mask& part = partial(levels, whole);
      if (whole) break;
      Mask out;
      if (part.usable && combine(part, out)) return keep(std::move(out));
    }
  }
  Mask exact = walk(current_, 0);
  exact.key = key_of(current_, false);
  return keep(std::move(exact));
}

// The mask with all but the top levels hidden. `whole`: nothing would be.
const Machine::Mask& Machine::partial(uint32_t levels, bool& whole) {
  static const Mask none;
  const ConfigId top = matcher_.top(current_, levels);
  whole = top == current_;
  if (whole) return none;
  if (const Mask* known = find(key_of(top, true))) return *known;
  Mask mask = walk(top, std::max<size_t>(tree_.ranks() / 32, 64));
  // The walk may have renumbered the configurations; asking again gives the present number.
  mask.key = key_of(matcher_.top(current_, levels), true);
  return keep(std::move(mask));
}

// Decides what is open with the real stacks. False: nothing is allowed, which near the limit of the stacks
// may be an effect of hiding them.
bool Machine::combine(const Mask& part, Mask& out) {
  out.bits = part.bits;
  const std::vector<uint32_t> open = part.open;  // `part` goes when the configurations are renumbered
  decide(open, current_, out);
  out.key = key_of(current_, false);
  return std::any_of(out.bits.begin(), out.bits.end(), [](uint64_t word) { return word != 0; });
}

Machine::Mask Machine::walk(ConfigId from, size_t most_open) {
  Mask out;
  out.bits.assign((tree_.size() + 63) / 64, 0);
  const std::span<const TokenTree::Node> nodes = tree_.nodes();
  path_[0] = from;
  const bool any_text = matcher_.text_run(from) == Matcher::longest_run;
  if (any_text) out.bits.assign(tree_.text_tokens().begin(), tree_.text_tokens().end());
  uint32_t visited = 0;
  for (size_t i = 0; i + 1 < nodes.size();) {
    const TokenTree::Node& node = nodes[i];
    path_depth_ = node.depth;  // path_[0 … depth - 1] lead here
    if (++visited % check_every == 0) make_room();
    const ConfigId before = path_[node.depth - 1];
    if (node.text_height != 0 && node.text_height <= matcher_.text_run(before)) {
      const bool counted = any_text && node.text_before + node.text_height <= Matcher::longest_run;
      for (uint32_t rank = node.first_token; !counted && rank < nodes[node.end].first_token; ++rank)
        set(out, rank);
      i = node.end;
      continue;
    }
    const ConfigId here = matcher_.step(before, node.byte);
    if (matcher_.alive(here)) {
      for (uint32_t rank = node.first_token; rank < nodes[i + 1].first_token; ++rank) set(out, rank);
      path_[node.depth] = here;
      ++i;
      continue;
    }
    if (matcher_.open(here)) {
      for (uint32_t rank = node.first_token; rank < nodes[node.end].first_token; ++rank)
        out.open.push_back(rank);
      if (out.open.size() > most_open) {
        Mask given_up;
        given_up.usable = false;
        return given_up;
      }
    }
    i = node.end;
  }
  return out;
}

// Tokens in order share the beginnings that were followed already.
void Machine::decide(std::span<const uint32_t> ranks, ConfigId from, Mask& out) {
  std::string_view before;
  size_t reached = 0;  // bytes of `before` that are allowed; path_ has where they lead
  path_[0] = from;
  uint32_t visited = 0;
  for (const uint32_t rank : ranks) {
    const std::string_view text = tree_.bytes(rank);
    const auto same = std::mismatch(before.begin(), before.end(), text.begin(), text.end()).first;
    const auto common = static_cast<size_t>(same - before.begin());
    if (common > reached) continue;  // the byte that was not allowed is in this one, too
    for (reached = common; reached < text.size(); ++reached) {
      path_depth_ = reached + 1;
      if (++visited % check_every == 0) make_room();
      const ConfigId next = matcher_.step(path_[reached], static_cast<uint8_t>(text[reached]));
      if (!matcher_.alive(next)) break;
      path_[reached + 1] = next;
    }
    before = text;
    if (reached == text.size()) set(out, rank);
  }
}

Machine::Mask* Machine::find(uint64_t key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  masks_.splice(masks_.begin(), masks_, found->second);
  return &masks_.front();
}

Machine::Mask& Machine::keep(Mask mask) {
  bytes_ += mask.bytes();
  masks_.push_front(std::move(mask));
  by_key_[masks_.front().key] = masks_.begin();
  while (bytes_ > most_bytes && masks_.size() > 2) {
    bytes_ -= masks_.back().bytes();
    by_key_.erase(masks_.back().key);
    masks_.pop_back();
  }
  return masks_.front();
}

void Machine::make_room() {
  std::vector<ConfigId*> kept;
  for (ConfigId& place : places_) kept.push_back(&place);
  for (size_t i = 0; i < path_depth_; ++i) kept.push_back(&path_[i]);
  kept.push_back(&current_);
  if (!matcher_.compact(kept)) return;
  masks_.clear();
  by_key_.clear();
  bytes_ = 0;
}

}  // namespace hearth::grammar
