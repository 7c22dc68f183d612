#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/json.h"
#include "text/grammar.h"

namespace hearth {

// The formats that requests have asked their answers to have, each made into a grammar once, and the
// vocabulary arranged for them when the first one is asked for.
class Formats {
 public:
  explicit Formats(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  // A filter for one answer; null where the format is null. `after` is a text that the answer begins behind
  // (the end of the thinking); empty: it begins at once. Throws Error(bad_request) naming what of a schema or
  // grammar is wrong or cannot be kept, and where.
  std::unique_ptr<GrammarFilter> filter(const Json& format, const std::string& after);

 private:
  const Grammar& grammar(const Json& format);

  const Tokenizer& tokenizer_;
  std::shared_ptr<const TokenTable> tokens_;
  std::map<std::string, Grammar> grammars_;  // bounded
};

}  // namespace hearth
