#include "text/grammar/stacks.h"

#include <algorithm>

#include "text/grammar/automaton.h"

namespace hearth::grammar {

namespace {

// `unknown` counts as this deep, so that what is found out with it holds for any stack up to this depth.
constexpr uint32_t hidden_depth = most_frames / 2;

}  // namespace

Stacks::Stacks() {
  depth_.push_back(0);
  const Pair root{bottom, 0}, unknown{hidden, 0};
  root_ = intern({&root, 1});
  unknown_ = intern({&unknown, 1});
}

StackId Stacks::intern(std::span<const Pair> frames) {
  bool fresh = false;
  const StackId id = lists_.intern(frames, &fresh);
  if (!fresh) return id;
  uint32_t depth = 0;
  for (const Pair& frame : frames) {
    if (frame.state == hidden) depth = std::max(depth, hidden_depth);
    if (frame.state < hidden) depth = std::max(depth, depth_[frame.stack] + 1);
  }
  depth_.push_back(depth);
  return id;
}

StackId Stacks::push(uint32_t back, StackId below) {
  const Pair frame{back, below};
  return intern({&frame, 1});
}

// Recursion is as deep as the stacks, most_frames at most.
StackId Stacks::merge(StackId a, StackId b) {
  if (a == b || b == 0) return a;
  if (a == 0) return b;
  if (a > b) std::swap(a, b);
  const uint64_t key = uint64_t{a} << 32 | b;
  if (const auto known = merged_.find(key); known != merged_.end()) return known->second;
  const std::vector<Pair> left(frames(a).begin(), frames(a).end()), right(frames(b).begin(), frames(b).end());
  work_ += left.size() + right.size();
  std::vector<Pair> both;
  for (size_t i = 0, j = 0; i < left.size() || j < right.size();) {
    if (j == right.size() || (i < left.size() && left[i].state < right[j].state)) {
      both.push_back(left[i++]);
    } else if (i == left.size() || right[j].state < left[i].state) {
      both.push_back(right[j++]);
    } else {
      both.push_back({left[i].state, merge(left[i].stack, right[j].stack)});
      ++i;
      ++j;
    }
  }
  const StackId merged = intern(both);
  merged_.emplace(key, merged);
  return merged;
}

StackId Stacks::merge(std::vector<StackId>& list) {
  std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
  while (list.size() > 1) {
    size_t kept = 0;
    for (size_t i = 0; i < list.size(); i += 2)
      list[kept++] = i + 1 < list.size() ? merge(list[i], list[i + 1]) : list[i];
    list.resize(kept);
  }
  const StackId merged = list.empty() ? 0 : list.front();
  list.clear();
  return merged;
}

StackId Stacks::top(StackId id, uint32_t levels) {
  if (id == root_ || id == unknown_) return id;
  if (levels == 0) return unknown_;
  std::vector<Pair> kept(frames(id).begin(), frames(id).end());
  work_ += kept.size();
  for (Pair& frame : kept)
    if (frame.state < hidden) frame.stack = top(frame.stack, levels - 1);
  return intern(kept);
}

StackId Stacks::copy_to(Stacks& other, StackId id, std::unordered_map<StackId, StackId>& known) const {
  if (id == 0) return 0;
  if (const auto found = known.find(id); found != known.end()) return found->second;
  std::vector<Pair> kept(frames(id).begin(), frames(id).end());
  for (Pair& frame : kept)
    if (frame.state < hidden) frame.stack = copy_to(other, frame.stack, known);
  const StackId copy = other.intern(kept);
  known.emplace(id, copy);
  return copy;
}

}  // namespace hearth::grammar
