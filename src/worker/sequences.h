#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "engine/engine.h"

namespace hearth {

// The engine's sequences as requests need them: what was computed for earlier requests stays as long as
// nobody needs its pages, and a request that begins like another one takes over what both share.
class Sequences {
 public:
  explicit Sequences(Engine& engine) : engine_(engine) {}

  struct Begun {
    SeqId id;
    uint32_t cached = 0;  // tokens of the prompt that were computed already
  };
  // Starts a task whose tokens are the whole prompt. Throws Error(busy) where the pages are held by running
  // requests.
  Begun begin(const Task& task);
  // Goes on with the first `keep` tokens of a sequence that has ended, and the task's behind them.
  void cut(SeqId id, uint32_t keep, Task task);
  // A request is over: its sequence is kept for the next one.
  void rest(SeqId id);
  void remove(SeqId id);

  // Frees kept sequences until each running one can take a page.
  void make_room();
  bool step();

  const Sequence& operator[](SeqId id) const { return engine_.sequence(id); }
  size_t running() const noexcept { return running_.size(); }
  size_t kept() const noexcept { return kept_.size(); }

 private:
  struct Match {
    SeqId id;
    uint32_t common = 0;
    bool kept = false;
  };
  Match longest_match(const std::vector<TokenId>& tokens) const;
  bool leaves_pages(const Match& match, const Task& task) const;
  SeqId join(const Match& match, const Task& task);
  bool evict(SeqId but_not);

  Engine& engine_;
  std::vector<SeqId> running_;
  std::deque<SeqId> kept_;  // the longest unused first
};

}  // namespace hearth
