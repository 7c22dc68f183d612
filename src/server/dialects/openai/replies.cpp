#include "server/dialects/openai/replies.h"

#include <cmath>
#include <cstring>

#include "server/dialects/measures.h"
#include "server/dialects/openai/openai.h"

namespace hearth::openai {
namespace {

json::object usage_json(const Statistics& s) {
  json::object usage{{"prompt_tokens", s.prompt_tokens},
                     {"completion_tokens", s.generated_tokens},
                     {"total_tokens", s.prompt_tokens + s.generated_tokens},
                     {"prompt_tokens_details", json::object{{"cached_tokens", s.cached_tokens}}},
                     {"completion_tokens_details", json::object{{"reasoning_tokens", s.thinking_tokens}}}};
  if (s.truncated_tokens > 0) usage["prompt_truncated"] = s.truncated_tokens;
  return usage;
}

json::array bytes_of(const std::string& text) {
  json::array bytes;
  for (const char c : text) bytes.emplace_back(static_cast<uint8_t>(c));
  return bytes;
}

json::array logprobs_json(const std::vector<from_child::TokenProbability>& tokens) {
  json::array list;
  for (const auto& t : tokens) {
    json::array best;
    for (const auto& [text, logprob] : t.best) {
      best.push_back({{"token", text}, {"logprob", logprob}, {"bytes", bytes_of(text)}});
    }
    list.push_back({{"token", t.text},
                    {"logprob", t.logprob},
                    {"bytes", bytes_of(t.text)},
                    {"top_logprobs", std::move(best)}});
  }
  return list;
}

std::string event(const json::object& data) { return "data: " + json::serialize(data) + "\n\n"; }

// One choice while it grows.
struct Choice {
  std::string text, thinking, finish;
  json::array calls;
  std::vector<from_child::TokenProbability> tokens;
};

// Chats and completions: chunks in a stream, or one object at the end.
class TextReply final : public Reply {
 public:
  TextReply(const Call& call, const Stamp& stamp, ReplyOptions options, bool chat)
      : model_(call.model),
        id_((chat ? "chatcmpl-" : "cmpl-") + stamp.id),
        created_(std::chrono::system_clock::to_time_t(stamp.now)),
        options_(std::move(options)),
        chat_(chat),
        choices_(call.requests.size()) {}

  std::string_view content_type() const override {
    return options_.stream ? "text/event-stream" : "application/json; charset=utf-8";
  }

  std::string open() override {
    std::string out;
    if (!chat_) return out;
    for (size_t i = 0; i < choices_.size(); ++i) {
      out += chunk(i, json::object{{"role", "assistant"}, {"content", ""}}, nullptr);
    }
    return out;
  }

  std::string on(size_t index, const Piece& piece) override {
    return std::visit([&](const auto& p) { return take(index, p); }, piece);
  }

  std::string idle() override { return options_.stream ? std::string(keep_alive_comment) : ""; }

  std::string close() override {
    if (!options_.stream) return json::serialize(whole());
    if (failed_) return {};
    std::string out;
    if (options_.include_usage) {
      json::object o = header();
      o["choices"] = json::array();
      o["usage"] = usage_json(sum_);
      out += event(o);
    }
    return out + "data: [DONE]\n\n";
  }

 private:
  json::object header() const {
    const char* object =
        chat_ ? (options_.stream ? "chat.completion.chunk" : "chat.completion") : "text_completion";
    return {{"id", id_},
            {"object", object},
            {"created", created_},
            {"model", model_},
            {"system_fingerprint", "fp_ollama"}};
  }

  std::string chunk(size_t index, json::object delta, const Json& finish,
                    const std::vector<from_child::TokenProbability>& tokens = {},
                    const from_child::PromptProgress* progress = nullptr) const {
    json::object choice{{"index", index}};
    if (chat_) {
      choice["delta"] = std::move(delta);
    } else {
      const Json* text = delta.if_contains("content");
      choice["text"] = text != nullptr ? *text : Json("");
    }
    if (options_.logprobs && !tokens.empty())
      choice["logprobs"] = json::object{{"content", logprobs_json(tokens)}};
    choice["finish_reason"] = finish;
    json::object o = header();
    o["choices"] = json::array{std::move(choice)};
    // Completions tell of usage in every chunk, as the reference does; it is known in the last one.
    if (options_.include_usage) o["usage"] = chat_ ? Json() : Json(usage_json({}));
    if (!finish.is_null() && choices_.size() == 1) o["timings"] = timings_json(sum_);
    if (progress != nullptr) o["prompt_progress"] = progress_json(*progress);
    return event(o);
  }

  json::object call_json(const ToolCall& c, size_t number) const {
    json::object function{{"name", c.name}, {"arguments", json::serialize(c.arguments)}};
    return {{"id", c.id}, {"index", number}, {"type", "function"}, {"function", std::move(function)}};
  }

  std::string take(size_t index, const from_child::Text& p) {
    if (options_.stream) return chunk(index, json::object{{"content", p.text}}, nullptr, p.tokens);
    Choice& c = choices_[index];
    c.text += p.text;
    c.tokens.insert(c.tokens.end(), p.tokens.begin(), p.tokens.end());
    return {};
  }
  std::string take(size_t index, const from_child::Thinking& p) {
    if (options_.stream) return chat_ ? chunk(index, json::object{{"reasoning", p.text}}, nullptr) : "";
    choices_[index].thinking += p.text;
    return {};
  }
  std::string take(size_t index, const from_child::Called& p) {
    Choice& c = choices_[index];
    c.calls.push_back(call_json(p.call, c.calls.size()));
    return options_.stream ? chunk(index, json::object{{"tool_calls", json::array{c.calls.back()}}}, nullptr)
                           : "";
  }
  std::string take(size_t, const from_child::Vectors&) { return {}; }
  std::string take(size_t index, const from_child::PromptProgress& p) {
    return options_.stream ? chunk(index, {}, nullptr, {}, &p) : "";
  }

  std::string take(size_t index, const from_child::Done& p) {
    Choice& c = choices_[index];
    c.finish = p.reason == "length" ? "length" : c.calls.empty() ? "stop" : "tool_calls";
    sum_.prompt_tokens += p.statistics.prompt_tokens;
    sum_.generated_tokens += p.statistics.generated_tokens;
    sum_.cached_tokens += p.statistics.cached_tokens;
    sum_.thinking_tokens += p.statistics.thinking_tokens;
    sum_.truncated_tokens += p.statistics.truncated_tokens;
    sum_.prompt += p.statistics.prompt;
    sum_.generation += p.statistics.generation;
    return options_.stream ? chunk(index, {}, Json(c.finish)) : "";
  }
  std::string take(size_t, const from_child::Failed& p) {
    failed_ = true;
    return event(error_json(Error(p.code, p.message, p.remedy)));
  }

  json::object choice_json(size_t index) const {
    const Choice& c = choices_[index];
    json::object o{{"index", index}};
    if (chat_) {
      json::object message{{"role", "assistant"}, {"content", c.text}};
      if (!c.thinking.empty()) message["reasoning"] = c.thinking;
      if (!c.calls.empty()) message["tool_calls"] = c.calls;
      o["message"] = std::move(message);
    } else {
      o["text"] = options_.echo + c.text;
    }
    if (options_.logprobs) o["logprobs"] = json::object{{"content", logprobs_json(c.tokens)}};
    o["finish_reason"] = c.finish;
    return o;
  }

  json::object whole() const {
    json::object o = header();
    json::array list;
    for (size_t i = 0; i < choices_.size(); ++i) list.push_back(choice_json(i));
    o["choices"] = std::move(list);
    o["usage"] = usage_json(sum_);
    if (choices_.size() == 1) o["timings"] = timings_json(sum_);
    return o;
  }

  std::string model_, id_;
  int64_t created_;
  ReplyOptions options_;
  bool chat_, failed_ = false;
  std::vector<Choice> choices_;
  Statistics sum_;
};

std::string base64(const std::vector<float>& values) {
  constexpr char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes(values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const auto at = [&](size_t k) { return i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : 0U; };
    const uint32_t three = (at(0) << 16) | (at(1) << 8) | at(2);
    out += letters[three >> 18];
    out += letters[(three >> 12) & 63];
    out += i + 1 < bytes.size() ? letters[(three >> 6) & 63] : '=';
    out += i + 2 < bytes.size() ? letters[three & 63] : '=';
  }
  return out;
}

class EmbeddingsReply final : public Reply {
 public:
  EmbeddingsReply(std::string model, bool as_base64, uint32_t dimensions)
      : model_(std::move(model)), base64_(as_base64), dimensions_(dimensions) {}
  std::string_view content_type() const override { return "application/json; charset=utf-8"; }
  std::string on(size_t, const Piece& piece) override {
    if (const auto* v = std::get_if<from_child::Vectors>(&piece)) vectors_ = v->vectors;
    if (const auto* d = std::get_if<from_child::Done>(&piece)) tokens_ = d->statistics.prompt_tokens;
    return {};
  }
  std::string close() override {
    json::array data;
    for (std::vector<float>& v : vectors_) {
      shorten(v);
      json::object o{{"object", "embedding"}, {"index", data.size()}};
      o["embedding"] = base64_ ? Json(base64(v)) : json::value_from(v);
      data.push_back(std::move(o));
    }
    return json::serialize(
        json::object{{"object", "list"},
                     {"data", std::move(data)},
                     {"model", model_},
                     {"usage", json::object{{"prompt_tokens", tokens_}, {"total_tokens", tokens_}}}});
  }

 private:
  void shorten(std::vector<float>& v) const {
    if (dimensions_ == 0 || dimensions_ >= v.size()) return;
    v.resize(dimensions_);
    double sum = 0;
    for (const float x : v) sum += double{x} * x;
    for (float& x : v) x = sum > 0 ? static_cast<float>(x / std::sqrt(sum)) : 0.0F;
  }

  std::string model_;
  bool base64_;
  uint32_t dimensions_, tokens_ = 0;
  std::vector<std::vector<float>> vectors_;
};

}  // namespace

std::unique_ptr<Reply> chat_reply(const Call& call, const Stamp& stamp, const ReplyOptions& options) {
  return std::make_unique<TextReply>(call, stamp, options, true);
}
std::unique_ptr<Reply> completion_reply(const Call& call, const Stamp& stamp, const ReplyOptions& options) {
  return std::make_unique<TextReply>(call, stamp, options, false);
}
std::unique_ptr<Reply> embeddings_reply(const Call& call, bool as_base64, uint32_t dimensions) {
  return std::make_unique<EmbeddingsReply>(call.model, as_base64, dimensions);
}

}  // namespace hearth::openai
