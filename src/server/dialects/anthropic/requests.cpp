#include <fmt/format.h>

#include "server/dialects/anthropic/anthropic.h"
#include "server/dialects/anthropic/replies.h"
#include "server/dialects/fields.h"
#include "server/dialects/ollama/requests.h"
#include "server/dialects/tools.h"

namespace hearth::anthropic {
namespace {

[[noreturn]] void refuse(const std::string& what, const std::string& remedy) {
  throw Error(Code::bad_request, what, remedy);
}

std::string text_of_blocks(const Json& content, const char* where) {
  if (content.is_string()) return std::string(content.as_string());
  if (!content.is_array()) fields::wrong_type(where, "string or array of blocks");
  std::string text;
  for (const Json& block : content.as_array()) {
    const std::string type = fields::text(block, "type").value_or("");
    if (type == "text") text += fields::text(block, "text").value_or("");
    if (type == "image") refuse("this server runs no image model yet", "send text only");
  }
  return text;
}

// One message of the body is one or several of ours: results of tools come before the text.
void add_messages(const Json& m, std::vector<ChatMessage>& out) {
  if (!m.is_object()) fields::wrong_type("messages", "array of objects");
  ChatMessage message;
  message.role = fields::text(m, "role").value_or("");
  if (message.role != "user" && message.role != "assistant")
    refuse("messages: role must be user or assistant", "use one of them");
  const Json* content = fields::find(m, "content");
  if (content == nullptr) refuse("messages: content is required", "send a text or blocks");
  if (!content->is_array()) {
    message.content = text_of_blocks(*content, "content");
    out.push_back(std::move(message));
    return;
  }
  bool other = false;
  for (const Json& block : content->as_array()) {
    const std::string type = fields::text(block, "type").value_or("");
    other = other || type != "tool_result";
    if (type == "text") {
      message.content += fields::text(block, "text").value_or("");
    } else if (type == "thinking") {
      message.thinking += fields::text(block, "thinking").value_or("");
    } else if (type == "tool_use") {
      const std::string id = fields::text(block, "id").value_or(""),
                        name = fields::text(block, "name").value_or("");
      if (id.empty() || name.empty()) refuse("tool_use needs id and name", "send both");
      const json::object* input = fields::object(block, "input");
      message.tool_calls.push_back({id, name, input != nullptr ? Json(*input) : Json(json::object())});
    } else if (type == "tool_result") {
      const Json* result = fields::find(block, "content");
      ChatMessage tool{"tool", result != nullptr ? text_of_blocks(*result, "content") : ""};
      tool.tool_call_id = fields::text(block, "tool_use_id").value_or("");
      for (const ChatMessage& before : out) {
        for (const ToolCall& c : before.tool_calls) {
          if (c.id == tool.tool_call_id) tool.tool_name = c.name;
        }
      }
      out.push_back(std::move(tool));
    } else if (type == "image") {
      refuse("this server runs no image model yet", "send text only");
    }
  }
  if (other || content->as_array().empty()) out.push_back(std::move(message));
}

void add_tools(const Json& body, Request& r) {
  const json::array* tools = fields::list(body, "tools");
  json::array list;
  for (const Json& t : tools != nullptr ? *tools : json::array()) {
    if (fields::text(t, "type").value_or("").starts_with("web_search")) continue;
    json::object function{{"name", fields::text(t, "name").value_or("")}};
    if (const auto text = fields::text(t, "description")) function["description"] = *text;
    if (const json::object* schema = fields::object(t, "input_schema")) function["parameters"] = *schema;
    list.push_back({{"type", "function"}, {"function", std::move(function)}});
  }
  const json::object* choice = fields::object(body, "tool_choice");
  const Json chosen = choice != nullptr ? Json(*choice) : Json();
  choose_tools(r, list, choice != nullptr && !list.empty() ? &chosen : nullptr);
  r.calls.several = !fields::flag(chosen, "disable_parallel_tool_use").value_or(false);
}

ThinkChoice think_of(const Json& body) {
  if (const json::object* thinking = fields::object(body, "thinking")) {
    const std::string type = fields::text(*thinking, "type").value_or("");
    return {true, type != "disabled", "", true};
  }
  const json::object* output = fields::object(body, "output_config");
  const std::string effort = output == nullptr ? "" : fields::text(*output, "effort").value_or("");
  if (effort.empty()) return {};
  return {true, true, effort == "xhigh" ? "high" : effort, true};
}

std::optional<uint32_t> budget_of(const Json& body) {
  const json::object* thinking = fields::object(body, "thinking");
  if (thinking == nullptr || fields::text(*thinking, "type").value_or("") != "enabled") return std::nullopt;
  return fields::think_budget(fields::integer(*thinking, "budget_tokens"));
}

Call common(const Json& body) {
  Call call;
  call.model = fields::text(body, "model").value_or("");
  if (call.model.empty()) refuse("model is required", "name a model");
  call.requests.resize(1);
  Request& r = call.requests.front();
  r.model = call.model;
  if (const Json* system = fields::find(body, "system")) {
    const std::string text = text_of_blocks(*system, "system");
    if (!text.empty()) r.messages.push_back({"system", text});
  }
  const json::array* messages = fields::list(body, "messages");
  if (messages == nullptr || messages->empty()) refuse("messages is required", "send at least one message");
  for (const Json& m : *messages) add_messages(m, r.messages);
  r.chat = true;
  add_tools(body, r);
  r.think = think_of(body);
  r.think_budget = budget_of(body);
  return call;
}

}  // namespace

Call parse_messages(const Json& body, const Stamp& stamp) {
  Call call = common(body);
  Request& r = call.requests.front();
  const int64_t most = fields::integer(body, "max_tokens").value_or(0);
  if (most <= 0) refuse("max_tokens is required and must be positive", "send max_tokens");
  r.max_tokens = static_cast<uint32_t>(std::min<int64_t>(most, 1 << 30));
  json::object options;
  for (const char* name : {"temperature", "top_p", "top_k"}) {
    if (const auto value = fields::number(body, name)) options[name] = *value;
  }
  r.sampling.options = std::move(options);
  if (const json::array* stop = fields::list(body, "stop_sequences")) {
    for (const Json& s : *stop) {
      if (!s.is_string()) fields::wrong_type("stop_sequences", "array of strings");
      r.stop.emplace_back(s.as_string());
    }
  }
  call.stream = fields::flag(body, "stream").value_or(false);
  r.progress = call.stream && fields::flag(body, "return_progress").value_or(false);
  call.reply = message_reply(call, stamp);
  return call;
}

Call parse_count_tokens(const Json& body, const Stamp&) {
  Call call = common(body);
  call.requests.front().count_only = true;
  call.reply = count_reply();
  return call;
}

json::object error_json(const Error& e, const std::string& request, int status) {
  if (status == 0) status = ollama::status_of(e.code);
  const char* type = status == 400   ? "invalid_request_error"
                     : status == 401 ? "authentication_error"
                     : status == 403 ? "permission_error"
                     : status == 404 ? "not_found_error"
                     : status == 429 ? "rate_limit_error"
                     : status == 503 ? "overloaded_error"
                                     : "api_error";
  const std::string text = e.remedy.empty() ? e.message : fmt::format("{} ({})", e.message, e.remedy);
  json::object o{{"type", "error"}, {"error", json::object{{"type", type}, {"message", text}}}};
  if (!request.empty()) o["request_id"] = "req_" + request;
  return o;
}

ErrorReply error(const Error& e, const std::string& request, int status) {
  return {status != 0 ? status : ollama::status_of(e.code), json::serialize(error_json(e, request, status))};
}

}  // namespace hearth::anthropic
