#pragma once

#include "server/dialects/dialect.h"

// Anthropic's messages: bodies in, calls out.
namespace hearth::anthropic {

// Throw Error(bad_request) naming the field.
Call parse_messages(const Json& body, const Stamp& stamp);
Call parse_count_tokens(const Json& body, const Stamp& stamp);

// `request` is an id for the log; `status` 0: that of the error's code.
ErrorReply error(const Error& error, const std::string& request = {}, int status = 0);
json::object error_json(const Error& error, const std::string& request = {}, int status = 0);

}  // namespace hearth::anthropic
