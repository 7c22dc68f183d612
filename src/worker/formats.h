#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/json.h"
#include "protocol/messages.h"
#include "text/grammar.h"

namespace hearth {

// The formats that requests have asked their answers and their calls of tools to have, each made into a
// grammar once, and the vocabulary arranged for them when the first one is asked for.
class Formats {
 public:
  explicit Formats(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  // A filter for one answer; null where nothing is asked of it. `output` says how the model spells calls,
  // `frame` what may stand before the answer. Throws Error(bad_request) naming what of a schema or grammar is
  // wrong or cannot be kept, and where.
  std::unique_ptr<GrammarFilter> filter(const Request& request, const OutputFormat& output,
                                        const GrammarFrame& frame);

 private:
  const Grammar* calls(const Request& request, const OutputFormat& output, const GrammarFrame& frame);
  const Grammar* made(const std::string& key, const std::function<std::optional<Grammar>()>& make);
  std::shared_ptr<const TokenTable> tokens(const std::vector<std::string>& markers);

  const Tokenizer& tokenizer_;
  std::map<std::vector<std::string>, std::shared_ptr<const TokenTable>> tokens_;  // by markers; bounded
  std::map<std::string, std::optional<Grammar>> grammars_;                        // bounded
};

}  // namespace hearth
