#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hearth::text {

// How one step cuts a text: what it matches and what lies between becomes pieces.
enum class StepKind {
  expression,  // matches of a regular expression
  space_runs,  // pieces of white space alone, without line ends: 512, 256, 128 … 2, 1 characters at a time
  trailing_space,   // the white space at the end: \s+$
  threes,           // in runs of decimal digits, cuts before every third from the right: (?=(\d{3})+(?!\d))
  threes_apart,     // the same for all of \p{N}, and the runs are pieces of their own
  threes_in_words,  // for runs of digits that end at a word border: \d{1,3}(?=(?:\d{3})*\b)
};

struct Step {
  StepKind kind = StepKind::expression;
  std::string expression;  // PCRE2's syntax, but \s and \S mean Unicode White_Space
};

// How the models that share a value of tokenizer.ggml.pre cut a text before merging: the steps in order, each
// within the pieces of the one before.
struct Pretokenization {
  std::string_view group;
  std::vector<Step> steps;
};

// One value of tokenizer.ggml.pre and what it implies.
struct PreName {
  std::string_view name, group;
  bool ignore_merges = false;  // a piece that is a token is taken whole
  bool add_bos = false;        // unless the file says otherwise
  bool add_sep = false;        // likewise
  bool byte_level = true;      // tokens are spelled in byte letters; false: UTF-8 with U+2581 for the space
};

// Throws Error for an unknown name. The empty name is "default".
const PreName& find_pretokenizer(std::string_view name);
const std::vector<PreName>& pretokenizer_names();

// The group must be one of the table's.
const Pretokenization& find_pretokenization(std::string_view group);

}  // namespace hearth::text
