#pragma once

#include <string>

#include "base/json.h"
#include "protocol/messages.h"

namespace hearth::openai {

// The text of a message's content parts. Throws Error(bad_request) for parts that are no text.
std::string text_of_parts(const json::array& parts);
// A JSON object that arrives as text. Throws Error(bad_request): "invalid tool call arguments".
Json arguments_of(const std::string& text);
// "none", "low" …; empty: not set. Throws Error(bad_request).
ThinkChoice effort_of(const std::string& effort);

}  // namespace hearth::openai
