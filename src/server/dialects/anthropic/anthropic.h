#pragma once

#include "server/dialects/dialect.h"

// Anthropic's messages: bodies in, calls out.
namespace hearth::anthropic {

// Throw Error(bad_request) naming the field.
Call parse_messages(const Json& body, const Stamp& stamp);
Call parse_count_tokens(const Json& body, const Stamp& stamp);

ErrorReply error(const Error& error);
json::object error_json(const Error& error);

}  // namespace hearth::anthropic
