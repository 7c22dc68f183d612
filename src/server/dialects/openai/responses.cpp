// OpenAI's Responses: bodies in.
#include <algorithm>

#include <fmt/format.h>

#include "server/dialects/fields.h"
#include "server/dialects/openai/openai.h"
#include "server/dialects/openai/parts.h"
#include "server/dialects/openai/replies.h"
#include "server/dialects/tools.h"

namespace hearth::openai {
namespace {

[[noreturn]] void refuse(const std::string& what, const std::string& remedy) {
  throw Error(Code::bad_request, what, remedy);
}

std::string content_of(const Json& item, const char* key) {
  const Json* at = fields::find(item, key);
  if (at == nullptr) return {};
  if (at->is_string()) return std::string(at->as_string());
  if (!at->is_array()) fields::wrong_type(key, "string or array of parts");
  return text_of_parts(at->as_array());
}

// Items in their order become messages: calls join the assistant's message before them, reasoning the one
// after.
class Conversation {
 public:
  void add(const Json& item) {
    if (!item.is_object()) fields::wrong_type("input", "array of items");
    const std::string type = fields::text(item, "type").value_or("message");
    if (type == "message") return add_message(item);
    if (type == "function_call") return add_call(item);
    if (type == "function_call_output") return add_result(item);
    if (type == "reasoning") {
      thinking_ += fields::text(item, "encrypted_content").value_or("");
    } else if (type != "web_search_call") {
      refuse(fmt::format("input item of type '{}' is not supported", type),
             "send messages, function calls and their outputs");
    }
  }
  std::vector<ChatMessage> messages;

 private:
  void add_message(const Json& item) {
    std::string role = fields::text(item, "role").value_or("user");
    if (role == "developer") role = "system";
    messages.push_back({role, content_of(item, "content")});
    if (role == "assistant") messages.back().thinking = std::exchange(thinking_, "");
  }
  void add_call(const Json& item) {
    if (messages.empty() || messages.back().role != "assistant") {
      messages.push_back({"assistant", ""});
      messages.back().thinking = std::exchange(thinking_, "");
    }
    messages.back().tool_calls.push_back({fields::text(item, "call_id").value_or(""),
                                          fields::text(item, "name").value_or(""),
                                          arguments_of(fields::text(item, "arguments").value_or("{}"))});
  }
  void add_result(const Json& item) {
    ChatMessage result{"tool", content_of(item, "output")};
    result.tool_call_id = fields::text(item, "call_id").value_or("");
    for (const ChatMessage& m : messages) {
      for (const ToolCall& c : m.tool_calls) {
        if (c.id == result.tool_call_id) result.tool_name = c.name;
      }
    }
    messages.push_back(std::move(result));
  }
  std::string thinking_;
};

void add_tools(const json::array& tools, const std::string& space, json::array& out) {
  for (const Json& tool : tools) {
    const std::string type = fields::text(tool, "type").value_or("");
    const std::string name = space + fields::text(tool, "name").value_or("");
    if (type == "namespace") {
      if (const json::array* inner = fields::list(tool, "tools")) add_tools(*inner, name + ".", out);
    } else if (type == "function") {
      json::object function{{"name", name}};
      if (const auto text = fields::text(tool, "description")) function["description"] = *text;
      if (const json::object* parameters = fields::object(tool, "parameters"))
        function["parameters"] = *parameters;
      if (fields::flag(tool, "strict").value_or(false)) function["strict"] = true;
      out.push_back({{"type", "function"}, {"function", std::move(function)}});
    }
  }
}

Json format_of(const Json& body) {
  const Json* text = fields::find(body, "text");
  const json::object* format = text == nullptr ? nullptr : fields::object(*text, "format");
  if (format == nullptr) return nullptr;
  const Json f = *format;
  const std::string type = fields::text(f, "type").value_or("text");
  if (type == "text") return nullptr;
  if (type == "json_object") return "json";
  const json::object* schema = fields::object(f, "schema");
  if (type != "json_schema" || schema == nullptr)
    refuse("text.format must be text, json_object or json_schema with its schema", "send one of them");
  return *schema;
}

}  // namespace

Call parse_responses(const Json& body, const Stamp& stamp) {
  Call call;
  call.model = fields::text(body, "model").value_or("");
  if (call.model.empty()) refuse("model is required", "name a model");
  if (fields::text(body, "previous_response_id")) {
    refuse("previous_response_id: this server keeps no responses", "send the whole conversation as input");
  }
  if (fields::find(body, "conversation") != nullptr)
    refuse("conversation: this server keeps no conversations", "send the whole conversation as input");
  if (fields::flag(body, "background").value_or(false))
    refuse("background: this server answers at once only", "leave it out");
  call.stream = fields::flag(body, "stream").value_or(false);
  call.keep_alive = fields::keep_alive(body);
  Conversation conversation;
  const std::string instructions = fields::text(body, "instructions").value_or("");
  if (!instructions.empty()) conversation.messages.push_back({"system", instructions});
  const Json* input = fields::find(body, "input");
  if (input == nullptr) refuse("input is required", "send a text or items");
  if (input->is_string()) {
    conversation.messages.push_back({"user", std::string(input->as_string())});
  } else {
    if (!input->is_array()) fields::wrong_type("input", "string or array");
    for (const Json& item : input->as_array()) conversation.add(item);
  }
  Request r;
  r.model = call.model;
  r.messages = std::move(conversation.messages);
  r.max_tokens = static_cast<uint32_t>(
      std::clamp<int64_t>(fields::integer(body, "max_output_tokens").value_or(0), 0, 1 << 30));
  json::object options;
  for (const char* name : {"temperature", "top_p"}) {
    if (const auto value = fields::number(body, name)) options[name] = *value;
  }
  r.sampling.options = std::move(options);
  if (const json::array* tools = fields::list(body, "tools")) {
    json::array list;
    add_tools(*tools, "", list);
    choose_tools(r, list, fields::find(body, "tool_choice"));
  }
  r.chat = true;
  r.calls.several = fields::flag(body, "parallel_tool_calls").value_or(true);
  call.fallback = {{"temperature", 1.0}};
  if (const Json* reasoning = fields::find(body, "reasoning"))
    r.think = effort_of(fields::text(*reasoning, "effort").value_or(""));
  r.think_budget = fields::think_budget(body);
  r.format = format_of(body);
  call.requests = {std::move(r)};
  call.reply = responses_reply(call, stamp, body);
  return call;
}

}  // namespace hearth::openai
