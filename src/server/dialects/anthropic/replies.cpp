#include "server/dialects/anthropic/replies.h"

#include <fmt/format.h>

#include "server/dialects/anthropic/anthropic.h"
#include "server/dialects/measures.h"

namespace hearth::anthropic {
namespace {

std::string event(std::string_view type, const json::object& data) {
  json::object whole{{"type", type}};
  for (const auto& [key, value] : data) whole[key] = value;
  return fmt::format("event: {}\ndata: {}\n\n", type, json::serialize(whole));
}

// A message whose blocks follow each other: thinking, text, uses of tools.
class MessageReply final : public Reply {
 public:
  MessageReply(const Call& call, const Stamp& stamp)
      : model_(call.model), id_("msg_" + stamp.id), stream_(call.stream) {
    // Until the model has said how many tokens the prompt has, a guess.
    size_t bytes = 0;
    for (const ChatMessage& m : call.requests.front().messages) bytes += m.content.size();
    constexpr size_t bytes_per_token = 4;
    statistics_.prompt_tokens = static_cast<uint32_t>(bytes / bytes_per_token);
  }

  std::string_view content_type() const override {
    return stream_ ? "text/event-stream" : "application/json; charset=utf-8";
  }

  std::string open() override {
    json::object message = header();
    message["content"] = json::array();
    message["stop_reason"] = nullptr;
    message["stop_sequence"] = nullptr;
    message["usage"] = usage();
    return event("message_start", {{"message", std::move(message)}}) + event("ping", {});
  }

  std::string on(size_t, const Piece& piece) override {
    return std::visit([this](const auto& p) { return take(p); }, piece);
  }

  std::string idle() override { return stream_ ? event("ping", {}) : ""; }

  std::string close() override {
    if (stream_) return {};
    json::object message = header();
    message["content"] = blocks_;
    message["stop_reason"] = stop_;
    message["stop_sequence"] = nullptr;
    message["usage"] = usage();
    return json::serialize(message);
  }

 private:
  json::object header() const {
    return {{"id", id_}, {"type", "message"}, {"role", "assistant"}, {"model", model_}};
  }
  json::object usage() const {
    json::object u{{"input_tokens", statistics_.prompt_tokens},
                   {"output_tokens", statistics_.generated_tokens}};
    if (statistics_.truncated_tokens > 0) u["prompt_truncated"] = statistics_.truncated_tokens;
    return u;
  }

  // The text of a block that goes on, or of a new one where another kind was open.
  std::string grow(const char* kind, const char* field, const std::string& text) {
    std::string out;
    if (kind_ != kind) {
      out = end_block();
      kind_ = kind;
      blocks_.push_back({{"type", kind}, {field, ""}});
      if (stream_)
        out +=
            event("content_block_start", {{"index", blocks_.size() - 1}, {"content_block", blocks_.back()}});
    }
    json::string& whole = blocks_.back().at(field).as_string();
    if (!stream_) whole += text;
    const json::object delta{{"type", fmt::format("{}_delta", kind)}, {field, text}};
    return stream_ ? out + event("content_block_delta", {{"index", blocks_.size() - 1}, {"delta", delta}})
                   : "";
  }

  std::string end_block() {
    if (kind_.empty()) return {};
    kind_.clear();
    return stream_ ? event("content_block_stop", {{"index", blocks_.size() - 1}}) : "";
  }

  std::string take(const from_child::Text& p) { return p.text.empty() ? "" : grow("text", "text", p.text); }
  std::string take(const from_child::Thinking& p) { return grow("thinking", "thinking", p.text); }
  std::string take(const from_child::Vectors&) { return {}; }
  std::string take(const from_child::PromptProgress& p) {
    return stream_ ? event("ping", {{"prompt_progress", progress_json(p)}}) : "";
  }

  std::string take(const from_child::Called& p) {
    std::string out = end_block();
    called_ = true;
    blocks_.push_back(
        {{"type", "tool_use"}, {"id", p.call.id}, {"name", p.call.name}, {"input", p.call.arguments}});
    if (!stream_) return {};
    json::object start = blocks_.back().as_object();
    start["input"] = json::object();
    const size_t index = blocks_.size() - 1;
    const json::object delta{{"type", "input_json_delta"},
                             {"partial_json", json::serialize(p.call.arguments)}};
    return out + event("content_block_start", {{"index", index}, {"content_block", std::move(start)}}) +
           event("content_block_delta", {{"index", index}, {"delta", delta}}) +
           event("content_block_stop", {{"index", index}});
  }

  std::string take(const from_child::Done& p) {
    statistics_ = p.statistics;
    stop_ = p.reason == "length" ? "max_tokens" : called_ ? "tool_use" : "end_turn";
    std::string out = end_block();
    if (!stream_) return {};
    const json::object delta{{"stop_reason", stop_}, {"stop_sequence", nullptr}};
    return out + event("message_delta", {{"delta", delta}, {"usage", usage()}}) + event("message_stop", {});
  }

  std::string take(const from_child::Failed& p) {
    return "event: error\ndata: " + json::serialize(error_json(Error(p.code, p.message, p.remedy))) + "\n\n";
  }

  std::string model_, id_, kind_, stop_ = "end_turn";
  bool stream_, called_ = false;
  json::array blocks_;
  Statistics statistics_;
};

class CountReply final : public Reply {
 public:
  std::string_view content_type() const override { return "application/json; charset=utf-8"; }
  std::string on(size_t, const Piece& piece) override {
    if (const auto* done = std::get_if<from_child::Done>(&piece)) tokens_ = done->statistics.prompt_tokens;
    return {};
  }
  std::string close() override { return json::serialize(json::object{{"input_tokens", tokens_}}); }

 private:
  uint32_t tokens_ = 0;
};

}  // namespace

std::unique_ptr<Reply> message_reply(const Call& call, const Stamp& stamp) {
  return std::make_unique<MessageReply>(call, stamp);
}
std::unique_ptr<Reply> count_reply() { return std::make_unique<CountReply>(); }

}  // namespace hearth::anthropic
