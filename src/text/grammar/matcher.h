#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "text/grammar/automaton.h"
#include "text/grammar/stacks.h"

namespace hearth::grammar {

// Where a text stands: all states the automaton can be in, each with its stacks.
using ConfigId = uint32_t;

// Follows texts through an automaton byte by byte. Every configuration met and every step from it is
// remembered, so a way that was gone once costs one look into a table per byte. Not thread-safe.
class Matcher {
 public:
  explicit Matcher(std::shared_ptr<const Automaton> automaton);

  static constexpr ConfigId dead = 0;  // no text goes on from here
  ConfigId start() const { return start_; }

  ConfigId step(ConfigId from, uint8_t byte) {
    const uint32_t row = info_[from].row;
    if (row != no_row) {
      const ConfigId to = rows_[row][byte];
      if (to != not_known) return to;
    }
    return new_step(from, byte);
  }
  // `dead` as soon as the bytes are not allowed.
  ConfigId follow(ConfigId from, std::string_view bytes);

  // The text may end here.
  bool accepts(ConfigId id) const { return (info_[id].flags & accepting) != 0; }
  // A byte may follow.
  bool goes_on(ConfigId id) const { return (info_[id].flags & steps) != 0; }
  // The text so far is the beginning of a text of the grammar.
  bool alive(ConfigId id) const { return (info_[id].flags & (accepting | steps)) != 0; }
  // What is hidden by top() might allow what else would be dead.
  bool open(ConfigId id) const { return (info_[id].flags & opened) != 0; }

  // The configuration with all but the top frames of its stacks hidden.
  ConfigId top(ConfigId id, uint32_t levels);
  // Whether top() may be used: the stacks are not near their limit.
  bool may_hide(ConfigId id) const { return info_[id].depth < most_frames / 2; }

  // How many characters of text (is_plain, or two bytes and more) may follow for sure, whichever they are; at
  // most `longest_run`. What ends within a character may follow, too, where that character may.
  uint8_t text_run(ConfigId id) { return info_[id].run != run_unknown ? info_[id].run : new_text_run(id); }
  static constexpr uint8_t longest_run = 32;
  static bool is_plain(uint8_t byte) { return byte >= 0x20 && byte < 0x7F && byte != '"' && byte != '\\'; }

  // Forgets all configurations but these, which get new numbers, where there are too many. True if it did.
  bool compact(std::span<ConfigId*> kept);
  // Starts to count work anew: too much of it until the next call throws Error(bad_request).
  void allow_work() { work_ = 0; }

 private:
  static constexpr uint32_t no_row = 0xFFFFFFFF, not_known = 0xFFFFFFFF;
  static constexpr uint8_t accepting = 1, steps = 2, opened = 4, run_unknown = 0xFF;

  struct Info {
    uint32_t row = no_row;
    uint32_t depth = 0;
    ConfigId after_text = not_known;
    uint8_t flags = 0;
    uint8_t run = run_unknown;
  };

  ConfigId new_step(ConfigId from, uint8_t byte);
  ConfigId after_text(ConfigId id);
  uint8_t new_text_run(ConfigId id);
  void arrive(uint32_t state, StackId stack);
  void settle();
  void begin_rules();
  void begin(RuleId rule, StackId stack);
  void call(const Call& call, StackId stack);
  ConfigId finish();
  ConfigId intern(std::span<const Pair> elements);
  void count(uint64_t work);

  std::shared_ptr<const Automaton> automaton_;
  Stacks stacks_;
  PairLists configs_;
  std::vector<Info> info_;
  std::vector<std::array<ConfigId, 256>> rows_;
  ConfigId start_ = 0;
  uint64_t work_ = 0, stacks_seen_ = 0;

  // Of the step being computed.
  std::vector<Pair> work_list_, elements_;
  PairSet seen_;
  std::vector<std::vector<StackId>> beginning_;  // [rank]: stacks below a rule that begins; none = does not
  std::vector<uint32_t> ranks_;                  // heap of the ranks that do
};

}  // namespace hearth::grammar
