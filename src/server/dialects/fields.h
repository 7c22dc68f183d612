#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "protocol/messages.h"
#include "scheduler/scheduler.h"

// Reading bodies: what is absent or null is none, what is of another type is an Error(bad_request) that names
// the field.
namespace hearth::fields {

// The first JSON value of a body, whatever follows it. Throws Error(bad_request): "missing request body",
// what is wrong with the text and where; a body that is no object is refused too.
Json parse_body(std::string_view body);

const Json* find(const Json& object, std::string_view key);  // null where absent or null
std::optional<std::string> text(const Json& object, std::string_view key);
std::optional<bool> flag(const Json& object, std::string_view key);
std::optional<double> number(const Json& object, std::string_view key);
std::optional<int64_t> integer(const Json& object, std::string_view key);
const json::array* list(const Json& object, std::string_view key);
const json::object* object(const Json& from, std::string_view key);

// What is found lies in the object: a temporary would be gone.
const Json* find(Json&& object, std::string_view key) = delete;
const json::array* list(Json&& object, std::string_view key) = delete;
const json::object* object(Json&& from, std::string_view key) = delete;

// Options of samplers that stand in the body itself, under the names that Ollama and llama.cpp share, as they
// are: what is wrong with one is found where all options are looked at.
void take_samplers(const Json& body, json::object& options);

[[noreturn]] void wrong_type(std::string_view key, std::string_view wanted);

// A number of seconds or a duration ("5m", "1h30m", "-1"): spec of keep_alive. Throws Error(bad_request).
KeepAlive keep_alive(const Json& object);
// true, false, "low" …. Throws Error(bad_request): "invalid think value".
ThinkChoice think(const Json& object);
// Tokens of thinking at most: "thinking_budget_tokens" or, as others call it, "reasoning_budget_tokens";
// negative: no bound.
std::optional<uint32_t> think_budget(const Json& object);
std::optional<uint32_t> think_budget(std::optional<int64_t> tokens);

}  // namespace hearth::fields
