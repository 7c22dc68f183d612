#pragma once

#include <optional>
#include <string_view>

#include "base/json.h"
#include "text/grammar/tree.h"

namespace hearth::grammar {

// The parts that all JSON texts are made of. Numbers are short enough for every parser (18 digits before the
// point, 17 after it, an exponent of 2), white space is at most one space or one line break with its indent,
// so that a model cannot go on with either for ever.
class JsonRules {
 public:
  explicit JsonRules(Tree& tree) : tree_(tree) {}

  NodeId space();   // white space, or none
  NodeId string();  // any string, with its quotes
  NodeId integer();
  NodeId number();
  NodeId boolean();
  NodeId null();
  NodeId value();   // anything
  NodeId object();  // any object
  NodeId array();   // any array
  // Exactly this value; inside of it white space is as free as elsewhere.
  NodeId constant(const Json& value);

  // One character of a string that is in the set, escaped where it must be.
  NodeId character(const CodepointSet& set);
  // One character of a string, any, in every way it can be written.
  NodeId any_character();
  // {…} and […] around what has no space at its ends; `inner` empty: only {} or [].
  NodeId enclosed(char open, NodeId inner, bool may_be_empty, char close);
  // `key` with its quotes, the colon, `value`.
  NodeId member(NodeId key, NodeId value);
  NodeId comma();
  // `item` min to max times with commas between, enclosed.
  NodeId list(char open, NodeId item, uint32_t min, uint32_t max, char close);

 private:
  NodeId digits(uint32_t min, uint32_t max);
  template <class Make>
  NodeId once(std::optional<RuleId>& rule, const char* name, bool own, const Make& make);

  Tree& tree_;
  std::optional<RuleId> space_, string_, integer_, number_, value_, object_, array_;
};

// How a JSON text spells a string, quotes included, or a number.
std::string json_string(std::string_view text);
std::string json_number(const Json& value);

}  // namespace hearth::grammar
