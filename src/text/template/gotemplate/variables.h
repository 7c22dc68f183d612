#pragma once

#include "text/chat_template.h"
#include "text/template/gotemplate/value.h"

// What a Go template sees of a conversation.
namespace hearth::gotmpl {

// Neighbouring messages of equal role (but tool) as one, contents joined by a blank line. The system text of
// the conversation, where there is one, comes first.
std::vector<Json> collated(const Conversation& conversation);

// All system contents of collated messages, joined by a blank line.
std::string system_of(const std::vector<Json>& messages);

// A string member of a message, "" where it has none.
std::string_view text_member(const Json& message, std::string_view name);
std::string_view text_member(const json::object& message, std::string_view name);

// .Think, .ThinkLevel, .IsThinkSet and the given ones.
Value variables(const Maker& maker, const Conversation& conversation,
                std::vector<std::pair<std::string_view, Value>> others);

Value messages_value(const Maker& maker, const std::vector<Json>& messages);
Value tools_value(const Maker& maker, const Json& tools);

}  // namespace hearth::gotmpl
