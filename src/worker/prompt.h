#pragma once

#include <vector>

#include "protocol/messages.h"
#include "worker/chat.h"
#include "worker/open_model.h"

namespace hearth {

// A request's prompt, ready to be computed.
struct ReadyPrompt {
  std::vector<TokenId> tokens;
  uint32_t truncated = 0;  // tokens of the whole prompt that did not fit
  std::string text;        // as it was rendered
};

// Most tokens that an answer to a request takes its prompt from.
struct PromptRoom {
  uint32_t context = 0;
  int32_t num_keep = 4;  // tokens at the front that a cut spares; negative = all
};

// A request's messages or raw text as tokens. What is longer than the context is cut in the order that the
// spec tells (oldest messages first, system and last message stay; then tokens behind the kept ones), or
// refused: Error(bad_request) that names "context". Errors of templates are the template's own words.
ReadyPrompt make_prompt(const Request& request, const ChosenTemplate& chosen, const OpenModel& model,
                        const PromptRoom& room);

// How many tokens at the front of a prompt a cut spares.
uint32_t kept_tokens(const PromptRoom& room, const Tokenizer& tokenizer);

}  // namespace hearth
