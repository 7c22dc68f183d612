#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "text/grammar/pairs.h"

namespace hearth::grammar {

using StackId = uint32_t;

// In the place of a state: below it there is nothing; below it there is something that was left out.
constexpr uint32_t bottom = 0xFFFFFFFF, hidden = 0xFFFFFFFE;

// Sets of stacks of open calls. A set is a list of frames (where to go on; the set of the stacks below), each
// state at most once, so any number of stacks that differ far below shares what lies above.
class Stacks {
 public:
  Stacks();
  StackId root() const { return root_; }
  StackId unknown() const { return unknown_; }

  std::span<const Pair> frames(StackId id) const { return lists_[id]; }
  // Frames in its deepest stack.
  uint32_t depth(StackId id) const { return depth_[id]; }

  StackId push(uint32_t back, StackId below);
  StackId merge(StackId a, StackId b);
  // All of the list, which is empty then: two by two, since one after the other is as much work as the square
  // of their number.
  StackId merge(std::vector<StackId>& list);
  // Only the top `levels` frames of each stack, `unknown` below them.
  StackId top(StackId id, uint32_t levels);
  // The same stacks in another collection.
  StackId copy_to(Stacks& other, StackId id, std::unordered_map<StackId, StackId>& known) const;

  size_t size() const { return lists_.pairs(); }
  // Steps of work done so far.
  uint64_t work() const { return work_; }

 private:
  StackId intern(std::span<const Pair> frames);

  PairLists lists_;
  std::vector<uint32_t> depth_;
  std::unordered_map<uint64_t, StackId> merged_;
  StackId root_ = 0, unknown_ = 0;
  uint64_t work_ = 0;
};

}  // namespace hearth::grammar
