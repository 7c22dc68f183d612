#pragma once

#include "base/json.h"
#include "protocol/messages.h"

// What llama.cpp's server tells beside an answer, in its words.
namespace hearth {

// How much of a prompt has been read.
json::object progress_json(const from_child::PromptProgress& progress);
// Tokens and times of an answer.
json::object timings_json(const Statistics& statistics);

}  // namespace hearth
