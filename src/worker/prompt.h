#pragma once

#include <vector>

#include "protocol/messages.h"
#include "worker/open_model.h"

namespace hearth {

// A request's messages or raw text as tokens: the model's chat template where there is one; without a
// template the texts of the messages, one after the other. Throws Error(bad_request) with the template's own
// words.
std::vector<TokenId> tokens_of(const Request& request, const OpenModel& model);

}  // namespace hearth
