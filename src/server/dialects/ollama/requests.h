#pragma once

#include "server/dialects/dialect.h"

// Ollama's own API: bodies in, calls out. Errors are written by ollama::error.
namespace hearth::ollama {

// /api/generate, /api/chat, /api/embed and the older /api/embeddings. A body without prompt or messages is a
// call with an empty request: it loads the model. Throws Error(bad_request).
Call parse_generate(const Json& body, const Stamp& stamp);
Call parse_chat(const Json& body, const Stamp& stamp);
Call parse_embed(const Json& body, const Stamp& stamp);
Call parse_embeddings(const Json& body, const Stamp& stamp);

ErrorReply error(const Error& error);
// {"error": message, "remedy": what to do}, also as a line of a running stream.
json::object error_json(const Error& error);
// Status of an error, for all dialects.
int status_of(Code code) noexcept;

// "2026-08-21T10:20:30.123456789Z".
std::string timestamp(std::chrono::system_clock::time_point when);

}  // namespace hearth::ollama
