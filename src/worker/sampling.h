#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/sampler.h"
#include "protocol/messages.h"
#include "text/tokenizer.h"

namespace hearth {

// A request's options that the worker looks at.
struct RequestOptions {
  SamplingOptions sampling;
  int32_t num_keep = 4;     // tokens at the front of the context that a shift spares; negative = all
  bool ignore_eos = false;  // tokens that end a text are never drawn
  // What repetitions do not reach over (SamplingOptions::dry_breakers, which needs a vocabulary).
  std::vector<std::string> dry_breakers{"\n", ":", "\"", "*"};
};

// From a request's JSON (Ollama's names). A wrong type or value is an Error(bad_request) naming the option,
// and so is an unknown name. The seed is always set afterwards: what was asked for, or one drawn here.
RequestOptions options_of(const SamplingChoice& choice);

// Which tokens break sequences: those whose text holds one of the strings, the last one of a string that
// takes several, and the markers of the template, so that no turn of a conversation repeats another one's
// end.
class BreakerTokens {
 public:
  explicit BreakerTokens(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}
  std::shared_ptr<const TokenSet> of(const std::vector<std::string>& breakers);

 private:
  const Tokenizer& tokenizer_;
  std::vector<std::pair<std::vector<std::string>, std::shared_ptr<const TokenSet>>> known_;  // bounded
};

}  // namespace hearth
