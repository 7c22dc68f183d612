#pragma once

#include <string>
#include <vector>

#include "text/prompt.h"
#include "worker/open_model.h"

namespace hearth {

// How a reranker is asked about a query and a text. The model of `model` must outlive it.
class RerankPrompt {
 public:
  explicit RerankPrompt(const OpenModel& model);

  // What the model is shown: its own template for pairs (tokenizer.chat_template.rerank) with the two texts
  // in their places, else both behind each other with the vocabulary's separator between. A text that does
  // not fit `context` tokens is cut at its end; `cut` tells by how many tokens. Throws Error(bad_request)
  // where the query alone is too long.
  std::vector<TokenId> tokens(const std::string& query, const std::string& text, uint32_t context,
                              uint32_t& cut) const;
  // Which of the model's outputs says that the text answers the query: the one that is called "yes", else the
  // first.
  size_t answer() const;

 private:
  Prompt pair(const std::string& query, const std::string& text) const;

  const OpenModel& model_;
  std::string template_;
};

}  // namespace hearth
