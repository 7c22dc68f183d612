#include "server/dialects/ollama/requests.h"

#include <fmt/format.h>

#include <algorithm>

#include "server/dialects/fields.h"
#include "server/dialects/ollama/replies.h"
#include "server/dialects/tools.h"

namespace hearth::ollama {
namespace {

// What all four have in common.
Call common(const Json& body, bool streams) {
  Call call;
  call.model = fields::text(body, "model").value_or("");
  call.stream = fields::flag(body, "stream").value_or(streams);
  call.keep_alive = fields::keep_alive(body);
  call.requests.resize(1);
  Request& r = call.requests.front();
  r.model = call.model;
  if (const json::object* options = fields::object(body, "options")) r.sampling.options = *options;
  r.think_budget = fields::think_budget(body);
  r.progress = call.stream && fields::flag(body, "return_progress").value_or(false);
  r.truncate = fields::flag(body, "truncate").value_or(true);
  r.shift = fields::flag(body, "shift").value_or(true);
  return call;
}

Json format_of(const Json& body) {
  const Json* at = fields::find(body, "format");
  if (at == nullptr || (at->is_string() && at->as_string().empty())) return nullptr;
  if (at->is_object() || (at->is_string() && at->as_string() == "json")) return *at;
  throw Error(
      Code::bad_request,
      fmt::format("invalid format {}: expected \"json\" or a valid JSON Schema object", json::serialize(*at)),
      "send \"json\" or a schema");
}

std::optional<uint32_t> logprobs_of(const Json& body) {
  const int64_t best = fields::integer(body, "top_logprobs").value_or(0);
  if (best < 0 || best > 20) {
    throw Error(Code::bad_request, "top_logprobs must be between 0 and 20", "ask for 0 to 20");
  }
  if (!fields::flag(body, "logprobs").value_or(false)) return std::nullopt;
  return static_cast<uint32_t>(best);
}

void refuse_images(const Json& from, const std::string& model) {
  const json::array* images = fields::list(from, "images");
  if (images == nullptr || images->empty()) return;
  throw Error(Code::bad_request,
              fmt::format("\"{}\" does not support vision: this server runs no image model yet", model),
              "leave \"images\" out");
}

Json arguments_of(const Json& function) {
  const Json* at = fields::find(function, "arguments");
  if (at == nullptr) return json::object();
  if (at->is_object()) return *at;
  boost::system::error_code broken;
  Json parsed = at->is_string() ? json::parse(at->as_string(), broken) : Json();
  if (broken || !parsed.is_object()) fields::wrong_type("arguments", "object");
  return parsed;
}

ChatMessage message_of(const Json& m, const std::string& model) {
  if (!m.is_object()) fields::wrong_type("messages", "array of objects");
  ChatMessage out;
  out.role = fields::text(m, "role").value_or("");
  std::transform(out.role.begin(), out.role.end(), out.role.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  out.content = fields::text(m, "content").value_or("");
  out.thinking = fields::text(m, "thinking").value_or("");
  out.tool_name = fields::text(m, "tool_name").value_or("");
  out.tool_call_id = fields::text(m, "tool_call_id").value_or("");
  refuse_images(m, model);
  if (const json::array* calls = fields::list(m, "tool_calls")) {
    for (const Json& c : *calls) {
      const Json* function = fields::find(c, "function");
      if (function == nullptr) fields::wrong_type("tool_calls", "array of {function}");
      out.tool_calls.push_back({fields::text(c, "id").value_or(""),
                                fields::text(*function, "name").value_or(""), arguments_of(*function)});
    }
  }
  return out;
}

}  // namespace

Call parse_generate(const Json& body, const Stamp& stamp) {
  const auto logprobs = logprobs_of(body);
  Call call = common(body, true);
  Request& r = call.requests.front();
  refuse_images(body, call.model);
  const std::string prompt = fields::text(body, "prompt").value_or("");
  const std::string system = fields::text(body, "system").value_or("");
  const std::string source = fields::text(body, "template").value_or("");
  const bool raw = fields::flag(body, "raw").value_or(false);
  if (const json::array* context = fields::list(body, "context")) {
    for (const Json& token : *context) {
      if (!token.is_number()) fields::wrong_type("context", "array of numbers");
      r.context.push_back(token.to_number<int32_t>());
    }
  }
  if (raw && (!source.empty() || !system.empty() || !r.context.empty())) {
    throw Error(Code::bad_request, "raw mode does not support template, system, or context",
                "leave those three out, or \"raw\"");
  }
  r.logprobs = logprobs;
  r.format = format_of(body);
  r.think = fields::think(body);
  r.render_only = fields::flag(body, "_debug_render_only").value_or(false);
  const std::string suffix = fields::text(body, "suffix").value_or("");
  if (!source.empty()) r.template_text = source;
  if (!suffix.empty()) {
    r.raw = prompt;
    r.suffix = suffix;
  } else if (!prompt.empty() && raw) {
    r.raw = prompt;
  } else if (!prompt.empty()) {
    if (!system.empty()) r.messages.push_back({"system", system});
    r.messages.push_back({"user", prompt});
  }
  r.want_context = !raw;
  call.reply = generate_reply(call, stamp);
  return call;
}

Call parse_chat(const Json& body, const Stamp& stamp) {
  const auto logprobs = logprobs_of(body);
  Call call = common(body, true);
  if (call.model.empty()) throw Error(Code::bad_request, "model is required", "name a model");
  Request& r = call.requests.front();
  if (const json::array* messages = fields::list(body, "messages")) {
    for (const Json& m : *messages) r.messages.push_back(message_of(m, call.model));
  }
  r.chat = true;
  const json::array* tools = fields::list(body, "tools");
  choose_tools(r, tools != nullptr ? *tools : json::array(), fields::find(body, "tool_choice"));
  r.logprobs = logprobs;
  r.format = format_of(body);
  r.think = fields::think(body);
  r.render_only = fields::flag(body, "_debug_render_only").value_or(false);
  call.reply = chat_reply(call, stamp);
  return call;
}

Call parse_embed(const Json& body, const Stamp& stamp) {
  Call call = common(body, false);
  call.stream = false;
  call.vectors = true;
  Request& r = call.requests.front();
  const Json* input = fields::find(body, "input");
  const auto refuse = [] {
    throw Error(Code::bad_request, "invalid input type", "send a text or an array of texts");
  };
  if (input != nullptr && input->is_string()) {
    if (!input->as_string().empty()) r.embed.emplace_back(input->as_string());
  } else if (input != nullptr && input->is_array()) {
    for (const Json& text : input->as_array()) {
      if (!text.is_string()) refuse();
      r.embed.emplace_back(text.as_string());
    }
  } else if (input != nullptr) {
    refuse();
  }
  call.reply =
      embed_reply(call, stamp, static_cast<uint32_t>(fields::integer(body, "dimensions").value_or(0)));
  return call;
}

Call parse_embeddings(const Json& body, const Stamp&) {
  Call call = common(body, false);
  call.stream = false;
  call.vectors = true;
  if (call.model.empty()) throw Error(Code::bad_request, "model is required", "name a model");
  Request& r = call.requests.front();
  const std::string prompt = fields::text(body, "prompt").value_or("");
  if (!prompt.empty()) r.embed.push_back(prompt);
  r.normalise = false;
  r.truncate = false;
  call.reply = embeddings_reply();
  return call;
}

int status_of(Code code) noexcept {
  switch (code) {
    case Code::bad_request: return 400;
    case Code::not_found: return 404;
    case Code::forbidden: return 403;
    case Code::unsupported: return 501;
    case Code::busy: return 503;
    case Code::cancelled: return 499;
    case Code::corrupt_file:
    case Code::out_of_memory:
    case Code::device_lost:
    case Code::io:
    case Code::bug: return 500;
  }
  return 500;
}

json::object error_json(const Error& e) {
  json::object o{{"error", e.message}};
  if (!e.remedy.empty()) o["remedy"] = e.remedy;
  return o;
}

ErrorReply error(const Error& e) { return {status_of(e.code), json::serialize(error_json(e))}; }

std::string timestamp(std::chrono::system_clock::time_point when) {
  const auto since = when.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(since - seconds).count();
  const std::time_t t = seconds.count();
  std::tm utc{};
  ::gmtime_r(&t, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, ns);
}

}  // namespace hearth::ollama
