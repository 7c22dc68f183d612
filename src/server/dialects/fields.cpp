#include "server/dialects/fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/duration.h"

namespace hearth::fields {
namespace {

constexpr double most_seconds = 9.2e9;  // what nanoseconds in 64 bits can hold

std::chrono::nanoseconds seconds(double s) {
  return std::chrono::nanoseconds(static_cast<int64_t>(std::min(s, most_seconds) * 1e9));
}

}  // namespace

Json parse_body(std::string_view body) {
  if (body.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    throw Error(Code::bad_request, "missing request body", "send a JSON object");
  }
  json::parse_options options;
  options.max_depth = 200;
  json::stream_parser parser({}, options);
  boost::system::error_code broken;
  const size_t read = parser.write_some(body.data(), body.size(), broken);
  if (!broken && !parser.done()) parser.finish(broken);
  if (broken) {
    throw Error(Code::bad_request, fmt::format("invalid JSON at byte {}: {}", read, broken.message()),
                "send a JSON object");
  }
  Json value = parser.release();
  if (!value.is_object()) {
    throw Error(Code::bad_request, "the request body must be of type object", "send a JSON object");
  }
  return value;
}

void wrong_type(std::string_view key, std::string_view wanted) {
  throw Error(Code::bad_request, fmt::format("field \"{}\" must be of type {}", key, wanted),
              fmt::format("send a value of type {}", wanted));
}

const Json* find(const Json& object, std::string_view key) {
  const Json* at = object.is_object() ? object.as_object().if_contains({key.data(), key.size()}) : nullptr;
  return at == nullptr || at->is_null() ? nullptr : at;
}

std::optional<std::string> text(const Json& object, std::string_view key) {
  const Json* at = find(object, key);
  if (at == nullptr) return std::nullopt;
  if (!at->is_string()) wrong_type(key, "string");
  return std::string(at->as_string());
}

std::optional<bool> flag(const Json& object, std::string_view key) {
  const Json* at = find(object, key);
  if (at == nullptr) return std::nullopt;
  if (!at->is_bool()) wrong_type(key, "boolean");
  return at->as_bool();
}

std::optional<double> number(const Json& object, std::string_view key) {
  const Json* at = find(object, key);
  if (at == nullptr) return std::nullopt;
  if (!at->is_number()) wrong_type(key, "number");
  return at->to_number<double>();
}

std::optional<int64_t> integer(const Json& object, std::string_view key) {
  const auto value = number(object, key);
  if (!value) return std::nullopt;
  constexpr double most = 9e18;
  return static_cast<int64_t>(std::clamp(*value, -most, most));
}

const json::array* list(const Json& object, std::string_view key) {
  const Json* at = find(object, key);
  if (at == nullptr) return nullptr;
  if (!at->is_array()) wrong_type(key, "array");
  return &at->as_array();
}

const json::object* object(const Json& from, std::string_view key) {
  const Json* at = find(from, key);
  if (at == nullptr) return nullptr;
  if (!at->is_object()) wrong_type(key, "object");
  return &at->as_object();
}

void take_samplers(const Json& body, json::object& options) {
  constexpr std::array names{"top_k",          "min_p",
                             "typical_p",      "repeat_last_n",
                             "repeat_penalty", "top_n_sigma",
                             "xtc_threshold",  "xtc_probability",
                             "dry_multiplier", "dry_base",
                             "samplers",       "dry_allowed_length",
                             "mirostat",       "dry_penalty_last_n",
                             "mirostat_tau",   "dry_sequence_breakers",
                             "mirostat_eta",   "ignore_eos",
                             "grammar"};
  for (const char* name : names) {
    if (const Json* value = find(body, name)) options[name] = *value;
  }
}

KeepAlive keep_alive(const Json& object) {
  const Json* at = find(object, "keep_alive");
  if (at == nullptr) return std::nullopt;
  if (at->is_number()) {
    const double s = at->to_number<double>();
    return s < 0 ? forever : seconds(s);
  }
  if (!at->is_string()) wrong_type("keep_alive", "number or duration");
  const auto parsed = parse_duration({at->as_string().data(), at->as_string().size()});
  if (!parsed) {
    throw Error(Code::bad_request,
                fmt::format("keep_alive: invalid duration \"{}\"", std::string_view(at->as_string())),
                "give seconds as a number, or a text with units such as \"5m\"");
  }
  return parsed->count() < 0 ? forever : *parsed;
}

ThinkChoice think(const Json& object) {
  const Json* at = find(object, "think");
  if (at == nullptr) return {};
  if (at->is_bool()) return {true, at->as_bool(), "", false};
  constexpr std::array<std::string_view, 4> levels{"low", "medium", "high", "max"};
  if (at->is_string()) {
    for (const std::string_view level : levels) {
      if (std::string_view(at->as_string()) == level) return {true, true, std::string(level), false};
    }
  }
  throw Error(Code::bad_request, fmt::format("invalid think value: {}", json::serialize(*at)),
              "use true, false, \"low\", \"medium\", \"high\" or \"max\"");
}

std::optional<uint32_t> think_budget(std::optional<int64_t> tokens) {
  constexpr int64_t most = 1 << 30;
  if (!tokens || *tokens < 0) return std::nullopt;
  return static_cast<uint32_t>(std::min(*tokens, most));
}

std::optional<uint32_t> think_budget(const Json& object) {
  const auto tokens = integer(object, "thinking_budget_tokens");
  return think_budget(tokens ? tokens : integer(object, "reasoning_budget_tokens"));
}

}  // namespace hearth::fields
