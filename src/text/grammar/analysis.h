#pragma once

#include <string>
#include <vector>

#include "text/grammar/automaton.h"

namespace hearth::grammar {

// Adds to a fresh automaton what the matcher relies on: which rules can be empty, in which order they can
// begin with each other, what each state still needs; and takes out what leads nowhere.
class Analysis {
 public:
  Analysis(Automaton& automaton, const std::vector<RuleId>& rule_of, const std::vector<std::string>& names)
      : a_(automaton), rule_of_(rule_of), names_(names) {}
  // Throws as compile() does.
  void run();

 private:
  void find_nullable();
  void find_need();
  void prune();
  void find_tails();
  void find_entries();
  void rank_rules();

  Automaton& a_;
  const std::vector<RuleId>& rule_of_;
  const std::vector<std::string>& names_;
  std::vector<std::vector<uint32_t>> first_states_;  // [rule]: reached from its start over jumps
};

}  // namespace hearth::grammar
