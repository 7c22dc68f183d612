// OpenAI's Responses: pieces become items, items become events.
#include <fmt/format.h>

#include "server/dialects/openai/openai.h"
#include "server/dialects/openai/replies.h"

namespace hearth::openai {
namespace {

constexpr std::string_view reasoning = "reasoning", message = "message";

class ResponsesReply final : public Reply {
 public:
  ResponsesReply(const Call& call, const Stamp& stamp, const Json& body)
      : model_(call.model),
        id_(stamp.id),
        created_(std::chrono::system_clock::to_time_t(stamp.now)),
        stream_(call.stream) {
    for (const char* key : {"tools", "text", "temperature", "top_p", "instructions", "max_output_tokens"}) {
      const Json* at = body.as_object().if_contains(key);
      echoed_[key] = at != nullptr ? *at : Json();
    }
    if (echoed_["tools"].is_null()) echoed_["tools"] = json::array();
  }

  std::string_view content_type() const override {
    return stream_ ? "text/event-stream" : "application/json; charset=utf-8";
  }

  std::string open() override {
    // One after the other: each event takes the next number.
    std::string out = event("response.created", {{"response", response("in_progress")}});
    out += event("response.in_progress", {{"response", response("in_progress")}});
    return out;
  }

  std::string on(size_t, const Piece& piece) override {
    const std::string events = std::visit([this](const auto& p) { return take(p); }, piece);
    return stream_ ? events : std::string();
  }

  std::string idle() override { return stream_ ? std::string(keep_alive_comment) : ""; }
  std::string close() override { return stream_ ? std::string() : json::serialize(response(status_)); }

 private:
  std::string event(std::string_view type, const json::object& data) {
    json::object whole{{"type", type}, {"sequence_number", sequence_++}};
    for (const auto& [key, value] : data) whole[key] = value;
    return fmt::format("event: {}\ndata: {}\n\n", type, json::serialize(whole));
  }

  json::object response(std::string_view status) const {
    json::object o{{"id", "resp_" + id_}, {"object", "response"}, {"created_at", created_},
                   {"status", status},    {"error", nullptr},     {"model", model_},
                   {"output", output_}};
    o["incomplete_details"] =
        status == "incomplete" ? Json(json::object{{"reason", "max_output_tokens"}}) : Json();
    for (const auto& [key, value] : echoed_) o[key] = value;
    o["tool_choice"] = "auto";
    o["parallel_tool_calls"] = true;
    o["truncation"] = "disabled";
    o["store"] = false;
    o["metadata"] = json::object();
    json::object usage{
        {"input_tokens", statistics_.prompt_tokens},
        {"input_tokens_details", json::object{{"cached_tokens", statistics_.cached_tokens}}},
        {"output_tokens", statistics_.generated_tokens},
        {"output_tokens_details", json::object{{"reasoning_tokens", statistics_.thinking_tokens}}},
        {"total_tokens", statistics_.prompt_tokens + statistics_.generated_tokens}};
    if (statistics_.truncated_tokens > 0) usage["prompt_truncated"] = statistics_.truncated_tokens;
    o["usage"] = status == "in_progress" ? Json() : Json(std::move(usage));
    return o;
  }

  json::object place() const { return {{"item_id", item_id()}, {"output_index", output_.size()}}; }
  std::string item_id() const {
    return fmt::format("{}_{}_{}", kind_ == reasoning ? "rs" : "msg", id_, output_.size());
  }

  json::object item(bool done) const {
    if (kind_ == reasoning) {
      json::object o{{"id", item_id()},
                     {"type", "reasoning"},
                     {"summary", json::array()},
                     {"encrypted_content", done ? text_ : ""}};
      if (done) o["summary"] = json::array{json::object{{"type", "summary_text"}, {"text", text_}}};
      return o;
    }
    json::object o{{"id", item_id()},
                   {"type", "message"},
                   {"status", done ? "completed" : "in_progress"},
                   {"role", "assistant"}};
    o["content"] = done ? json::array{part()} : json::array();
    return o;
  }
  json::object part() const {
    return {{"type", "output_text"},
            {"text", text_},
            {"annotations", json::array()},
            {"logprobs", json::array()}};
  }

  std::string begin(std::string_view kind) {
    if (kind_ == kind) return {};
    std::string out = end();
    kind_ = kind;
    out += event("response.output_item.added", {{"output_index", output_.size()}, {"item", item(false)}});
    if (kind_ != message) return out;
    json::object data = place();
    data["content_index"] = 0;
    data["part"] = part();
    return out + event("response.content_part.added", data);
  }

  std::string end() {
    if (kind_.empty()) return {};
    std::string out;
    json::object data = place();
    if (kind_ == reasoning) {
      data["summary_index"] = 0;
      data["text"] = text_;
      out += event("response.reasoning_summary_text.done", data);
    } else {
      data["content_index"] = 0;
      json::object whole = data;
      whole["part"] = part();
      data["text"] = text_;
      data["logprobs"] = json::array();
      out += event("response.output_text.done", data);
      out += event("response.content_part.done", whole);
    }
    const json::object done = item(true);
    out += event("response.output_item.done", {{"output_index", output_.size()}, {"item", done}});
    output_.push_back(done);
    kind_.clear();
    text_.clear();
    return out;
  }

  std::string take(const from_child::Text& p) {
    if (p.text.empty()) return {};
    std::string out = begin(message);
    text_ += p.text;
    json::object data = place();
    data["content_index"] = 0;
    data["delta"] = p.text;
    data["logprobs"] = json::array();
    return out + event("response.output_text.delta", data);
  }
  std::string take(const from_child::Thinking& p) {
    std::string out = begin(reasoning);
    text_ += p.text;
    json::object data = place();
    data["summary_index"] = 0;
    data["delta"] = p.text;
    return out + event("response.reasoning_summary_text.delta", data);
  }
  std::string take(const from_child::Called& p) {
    std::string out = end();
    const std::string arguments = json::serialize(p.call.arguments),
                      name = fmt::format("fc_{}_{}", id_, output_.size());
    json::object done{{"id", name},           {"type", "function_call"}, {"status", "completed"},
                      {"call_id", p.call.id}, {"name", p.call.name},     {"arguments", arguments}};
    json::object started = done;
    started["status"] = "in_progress";
    started["arguments"] = "";
    const json::object where{{"item_id", name}, {"output_index", output_.size()}};
    json::object delta = where, whole = where;
    delta["delta"] = arguments;
    whole["arguments"] = arguments;
    whole["name"] = p.call.name;
    out += event("response.output_item.added", {{"output_index", output_.size()}, {"item", started}});
    out += event("response.function_call_arguments.delta", delta);
    out += event("response.function_call_arguments.done", whole);
    out += event("response.output_item.done", {{"output_index", output_.size()}, {"item", done}});
    output_.push_back(std::move(done));
    return out;
  }
  std::string take(const from_child::Vectors&) { return {}; }
  std::string take(const from_child::PromptProgress&) { return {}; }  // there is no event for it
  std::string take(const from_child::Done& p) {
    statistics_ = p.statistics;
    status_ = p.reason == "length" ? "incomplete" : "completed";
    const std::string out = end();
    const std::string type = "response." + status_;
    return out + event(type, {{"response", response(status_)}});
  }
  std::string take(const from_child::Failed& p) {
    status_ = "failed";
    return event(
        "error",
        {{"code", nullptr}, {"message", Error(p.code, p.message, p.remedy).what()}, {"param", nullptr}});
  }

  std::string model_, id_, kind_, text_, status_ = "completed";
  int64_t created_;
  bool stream_;
  json::object echoed_;
  uint64_t sequence_ = 0;
  json::array output_;
  Statistics statistics_;
};

}  // namespace

std::unique_ptr<Reply> responses_reply(const Call& call, const Stamp& stamp, const Json& body) {
  return std::make_unique<ResponsesReply>(call, stamp, body);
}

}  // namespace hearth::openai
