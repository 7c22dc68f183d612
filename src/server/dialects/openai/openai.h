#pragma once

#include "server/dialects/dialect.h"

// OpenAI's API: bodies in, calls out.
namespace hearth::openai {

// Throw Error(bad_request) naming the field.
Call parse_chat(const Json& body, const Stamp& stamp);
Call parse_completion(const Json& body, const Stamp& stamp);
Call parse_embeddings(const Json& body, const Stamp& stamp);
Call parse_responses(const Json& body, const Stamp& stamp);

ErrorReply error(const Error& error);
// {"error": {message, type, param, code}}, also as an event of a running stream.
json::object error_json(const Error& error);

json::object model_json(const std::string& id, const std::string& owner,
                        std::chrono::system_clock::time_point made);

}  // namespace hearth::openai
