#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "server/dialects/fields.h"
#include "server/dialects/ollama/requests.h"
#include "server/dialects/openai/openai.h"
#include "server/dialects/openai/parts.h"
#include "server/dialects/openai/replies.h"
#include "server/dialects/tools.h"

namespace hearth::openai {
namespace {

[[noreturn]] void refuse(const std::string& what, const std::string& remedy) {
  throw Error(Code::bad_request, what, remedy);
}

constexpr std::array plain_options{"temperature", "top_p", "frequency_penalty", "presence_penalty"};
// Tokens of thinking at most: llama.cpp's name for it, or OpenRouter's "reasoning": {"max_tokens"}.
std::optional<uint32_t> budget_of(const Json& body) {
  const Json* reasoning = fields::find(body, "reasoning");
  const auto tokens =
      reasoning != nullptr ? fields::integer(*reasoning, "max_tokens") : std::optional<int64_t>();
  return tokens ? fields::think_budget(tokens) : fields::think_budget(body);
}

// What chat and completions have in common, in Ollama's words.
Request common(const Json& body) {
  Request r;
  json::object options;
  for (const char* name : plain_options) {
    if (const auto value = fields::number(body, name)) options[name] = *value;
  }
  fields::take_samplers(body, options);
  if (const auto seed = fields::integer(body, "seed")) options["seed"] = *seed;
  if (const json::object* bias = fields::object(body, "logit_bias")) options["logit_bias"] = *bias;
  // An extension: options as Ollama knows them.
  if (const json::object* more = fields::object(body, "options")) {
    for (const auto& [key, value] : *more) options[key] = value;
  }
  r.sampling.options = std::move(options);
  r.think_budget = budget_of(body);
  r.progress =
      fields::flag(body, "stream").value_or(false) && fields::flag(body, "return_progress").value_or(false);
  const auto most = fields::integer(body, "max_completion_tokens");
  const int64_t tokens = most ? *most : fields::integer(body, "max_tokens").value_or(0);
  r.max_tokens = static_cast<uint32_t>(std::clamp<int64_t>(tokens, 0, 1 << 30));
  if (const Json* stop = fields::find(body, "stop")) {
    if (stop->is_string()) r.stop.emplace_back(stop->as_string());
    if (stop->is_array()) {
      for (const Json& s : stop->as_array()) {
        if (s.is_string()) r.stop.emplace_back(s.as_string());
      }
    }
  }
  return r;
}

Call call_of(const Json& body) {
  Call call;
  call.model = fields::text(body, "model").value_or("");
  if (call.model.empty()) refuse("model is required", "name a model");
  call.stream = fields::flag(body, "stream").value_or(false);
  call.keep_alive = fields::keep_alive(body);
  return call;
}

size_t choices(const Json& body) {
  const int64_t n = fields::integer(body, "n").value_or(1);
  constexpr int64_t most = 16;
  if (n < 1 || n > most) refuse("n must be between 1 and 16", "ask for fewer choices");
  return static_cast<size_t>(n);
}

// Several choices of one request draw different numbers.
std::vector<Request> repeated(const Request& r, size_t n) {
  std::vector<Request> all(n, r);
  for (size_t i = 1; i < n; ++i) {
    json::object& options = all[i].sampling.options.as_object();
    if (Json* seed = options.if_contains("seed"))
      *seed = seed->to_number<int64_t>() + static_cast<int64_t>(i);
  }
  return all;
}

ReplyOptions reply_options(const Json& body) {
  ReplyOptions o;
  o.stream = fields::flag(body, "stream").value_or(false);
  if (const json::object* stream = fields::object(body, "stream_options")) {
    o.include_usage = fields::flag(*stream, "include_usage").value_or(false);
  }
  return o;
}

ToolCall tool_call_of(const Json& c) {
  const json::object* function = fields::object(c, "function");
  if (function == nullptr) fields::wrong_type("tool_calls", "array of {function}");
  const Json f = *function;
  return {fields::text(c, "id").value_or(""), fields::text(f, "name").value_or(""),
          arguments_of(fields::text(f, "arguments").value_or("{}"))};
}

ChatMessage message_of(const Json& m, std::map<std::string, std::string>& names) {
  if (!m.is_object()) fields::wrong_type("messages", "array of objects");
  ChatMessage out;
  out.role = fields::text(m, "role").value_or("");
  if (out.role == "developer") out.role = "system";
  out.thinking = fields::text(m, "reasoning").value_or(fields::text(m, "reasoning_content").value_or(""));
  const json::array* calls = fields::list(m, "tool_calls");
  const Json* content = fields::find(m, "content");
  if (content == nullptr) {
    if (calls == nullptr || calls->empty()) refuse("invalid message content type: null", "send a text");
  } else if (content->is_string()) {
    out.content = content->as_string();
  } else if (content->is_array()) {
    out.content = text_of_parts(content->as_array());
  } else {
    refuse(fmt::format("invalid message content type: {}", json::serialize(*content).substr(0, 40)),
           "send a text");
  }
  if (calls != nullptr) {
    for (const Json& c : *calls) {
      out.tool_calls.push_back(tool_call_of(c));
      names[out.tool_calls.back().id] = out.tool_calls.back().name;
    }
  }
  out.tool_call_id = fields::text(m, "tool_call_id").value_or("");
  out.tool_name = fields::text(m, "name").value_or("");
  if (out.role == "tool" && out.tool_name.empty()) out.tool_name = names[out.tool_call_id];
  return out;
}

Json format_of(const Json& body) {
  const json::object* format = fields::object(body, "response_format");
  if (format == nullptr) return nullptr;
  const Json f = *format;
  const std::string type = fields::text(f, "type").value_or("");
  if (type == "text" || type.empty()) return nullptr;
  if (type == "json_object") return "json";
  if (type != "json_schema")
    refuse(fmt::format("response_format of type '{}'", type), "use text, json_object or json_schema");
  const Json* named = fields::find(f, "json_schema");
  const json::object* schema = named == nullptr ? nullptr : fields::object(*named, "schema");
  if (schema == nullptr) refuse("response_format: json_schema.schema is required", "send the schema");
  return *schema;
}

ThinkChoice think_of(const Json& body) {
  std::string effort = fields::text(body, "reasoning_effort").value_or("");
  if (const Json* reasoning = fields::find(body, "reasoning"); reasoning != nullptr && effort.empty()) {
    effort = fields::text(*reasoning, "effort").value_or("");
  }
  return effort.empty() ? fields::think(body) : effort_of(effort);
}

std::optional<uint32_t> logprobs_of(const Json& body) {
  if (!fields::flag(body, "logprobs").value_or(false)) return std::nullopt;
  const int64_t best = fields::integer(body, "top_logprobs").value_or(0);
  if (best < 0 || best > 20) refuse("top_logprobs must be between 0 and 20", "ask for 0 to 20");
  return static_cast<uint32_t>(best);
}

// Texts, or the tokens of texts.
struct Inputs {
  std::vector<std::string> texts;
  std::vector<std::vector<int32_t>> tokens;
};

std::vector<int32_t> tokens_of(const json::array& list, const char* wrong) {
  std::vector<int32_t> tokens;
  for (const Json& t : list) {
    if (!t.is_number()) refuse(wrong, "send texts, or arrays of token ids");
    tokens.push_back(t.to_number<int32_t>());
  }
  return tokens;
}

Inputs inputs_of(const Json& body, const char* key, const char* wrong) {
  const Json* at = fields::find(body, key);
  if (at == nullptr) refuse(wrong, "send a text or an array of texts");
  if (at->is_string()) return {{std::string(at->as_string())}, {}};
  if (!at->is_array() || at->as_array().empty()) refuse(wrong, "send a text or an array of texts");
  const json::array& list = at->as_array();
  Inputs inputs;
  if (list.front().is_number()) return {{}, {tokens_of(list, wrong)}};
  for (const Json& s : list) {
    if (s.is_array() && inputs.texts.empty()) {
      inputs.tokens.push_back(tokens_of(s.as_array(), wrong));
    } else if (s.is_string() && inputs.tokens.empty()) {
      inputs.texts.emplace_back(s.as_string());
    } else {
      refuse(wrong, "send a text or an array of texts");
    }
  }
  return inputs;
}

// What the reference forces; here the model's own parameters come first.
json::object fallback() { return {{"temperature", 1.0}, {"top_p", 1.0}}; }

}  // namespace

std::string text_of_parts(const json::array& parts) {
  std::string text;
  for (const Json& part : parts) {
    const std::string type = fields::text(part, "type").value_or("");
    if (type == "text" || type == "input_text" || type == "output_text") {
      text += fields::text(part, "text").value_or("");
    } else if (type == "image_url" || type == "input_image") {
      refuse("this server runs no image model yet", "send text only");
    } else {
      refuse(fmt::format("invalid message format: content part of type '{}'", type),
             "send parts of type text");
    }
  }
  return text;
}

Json arguments_of(const std::string& text) {
  boost::system::error_code broken;
  Json arguments = json::parse(text, broken);
  if (broken || !arguments.is_object()) refuse("invalid tool call arguments", "send a JSON object as text");
  return arguments;
}

ThinkChoice effort_of(const std::string& effort) {
  if (effort.empty()) return {};
  if (effort == "none") return {true, false, "", true};
  if (effort == "minimal" || effort == "low") return {true, true, "low", true};
  if (effort == "medium" || effort == "high") return {true, true, effort, true};
  if (effort == "xhigh" || effort == "ultra" || effort == "max") return {true, true, "max", true};
  refuse(fmt::format("invalid reasoning effort '{}'", effort), "use none, low, medium or high");
}

Call parse_chat(const Json& body, const Stamp& stamp) {
  Call call = call_of(body);
  Request r = common(body);
  r.model = call.model;
  const json::array* messages = fields::list(body, "messages");
  if (messages == nullptr || messages->empty())
    refuse("[] is too short - 'messages'", "send at least one message");
  std::map<std::string, std::string> names;
  for (const Json& m : *messages) r.messages.push_back(message_of(m, names));
  r.chat = true;
  const json::array* tools = fields::list(body, "tools");
  choose_tools(r, tools != nullptr ? *tools : json::array(), fields::find(body, "tool_choice"));
  r.calls.several = fields::flag(body, "parallel_tool_calls").value_or(true);
  r.format = format_of(body);
  r.think = think_of(body);
  r.logprobs = logprobs_of(body);
  call.requests = repeated(r, choices(body));
  call.fallback = fallback();
  ReplyOptions options = reply_options(body);
  options.logprobs = r.logprobs.has_value();
  call.reply = chat_reply(call, stamp, options);
  return call;
}

Call parse_completion(const Json& body, const Stamp& stamp) {
  Call call = call_of(body);
  Request r = common(body);
  r.model = call.model;
  const Json* stop = fields::find(body, "stop");
  for (const Json& s : stop != nullptr && stop->is_array() ? stop->as_array() : json::array()) {
    if (!s.is_string()) refuse("invalid type for 'stop' field: an item is no string", "send texts");
  }
  const std::string suffix = fields::text(body, "suffix").value_or("");
  if (const auto best = fields::integer(body, "logprobs"))
    r.logprobs = static_cast<uint32_t>(std::clamp<int64_t>(*best, 0, 20));
  ReplyOptions options = reply_options(body);
  options.logprobs = r.logprobs.has_value();
  const size_t n = choices(body);
  const Inputs inputs = inputs_of(body, "prompt", "invalid prompt");
  for (const std::string& prompt : inputs.texts) {
    r.messages.clear();
    if (suffix.empty()) {
      r.messages.push_back({"user", prompt});
    } else {
      r.raw = prompt;
      r.suffix = suffix;
    }
    if (fields::flag(body, "echo").value_or(false)) options.echo = prompt;
    for (Request& one : repeated(r, n)) call.requests.push_back(std::move(one));
  }
  for (const std::vector<int32_t>& tokens : inputs.tokens) {
    r.raw = "";
    r.plain = true;
    r.context = tokens;
    for (Request& one : repeated(r, n)) call.requests.push_back(std::move(one));
  }
  call.fallback = fallback();
  call.reply = completion_reply(call, stamp, options);
  return call;
}

Call parse_embeddings(const Json& body, const Stamp&) {
  Call call = call_of(body);
  call.stream = false;
  call.vectors = true;
  const std::string format = fields::text(body, "encoding_format").value_or("float");
  if (format != "float" && format != "base64")
    refuse("encoding_format must be float or base64", "use one of them");
  Request r;
  r.model = call.model;
  Inputs inputs = inputs_of(body, "input", "invalid input");
  r.embed = std::move(inputs.texts);
  r.embed_tokens = std::move(inputs.tokens);
  call.requests = {std::move(r)};
  call.reply = embeddings_reply(call, format == "base64",
                                static_cast<uint32_t>(std::clamp<int64_t>(
                                    fields::integer(body, "dimensions").value_or(0), 0, 1 << 20)));
  return call;
}

json::object error_json(const Error& e) {
  const int status = ollama::status_of(e.code);
  const char* type = status == 400   ? "invalid_request_error"
                     : status == 404 ? "not_found_error"
                                     : "api_error";
  json::object error{{"message", e.message}, {"type", type}, {"param", nullptr}, {"code", nullptr}};
  if (!e.remedy.empty()) error["remedy"] = e.remedy;
  return {{"error", std::move(error)}};
}

ErrorReply error(const Error& e) { return {ollama::status_of(e.code), json::serialize(error_json(e))}; }

json::object model_json(const std::string& id, const std::string& owner,
                        std::chrono::system_clock::time_point made) {
  return {{"id", id},
          {"object", "model"},
          {"created", std::chrono::system_clock::to_time_t(made)},
          {"owned_by", owner}};
}

}  // namespace hearth::openai
