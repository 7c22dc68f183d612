#include "server/dialects/ollama/replies.h"

#include <cmath>

#include "server/dialects/measures.h"
#include "server/dialects/ollama/requests.h"

namespace hearth::ollama {
namespace {

int64_t nanoseconds(double seconds) { return static_cast<int64_t>(seconds * 1e9); }

// Fields that are zero are left out, as the reference does it.
void put_statistics(json::object& o, const Statistics& s) {
  const auto put = [&](const char* key, int64_t value) {
    if (value != 0) o[key] = value;
  };
  put("total_duration", std::max<int64_t>(1, nanoseconds(s.total)));
  put("load_duration", std::max<int64_t>(1, nanoseconds(s.load)));
  put("prompt_eval_count", s.prompt_tokens);
  put("prompt_eval_duration", nanoseconds(s.prompt));
  put("eval_count", s.generated_tokens);
  put("eval_duration", nanoseconds(s.generation));
  put("prompt_truncated", s.truncated_tokens);
}

json::array bytes_of(const std::string& text) {
  json::array bytes;
  for (const char c : text) bytes.emplace_back(static_cast<uint8_t>(c));
  return bytes;
}

json::array logprobs_json(const std::vector<from_child::TokenProbability>& tokens) {
  json::array list;
  for (const auto& t : tokens) {
    json::object o{{"token", t.text}, {"logprob", t.logprob}, {"bytes", bytes_of(t.text)}};
    json::array best;
    for (const auto& [text, logprob] : t.best) {
      best.push_back({{"token", text}, {"logprob", logprob}, {"bytes", bytes_of(text)}});
    }
    if (!best.empty()) o["top_logprobs"] = std::move(best);
    list.push_back(std::move(o));
  }
  return list;
}

json::object call_json(const ToolCall& call, size_t index) {
  return {{"id", call.id},
          {"function", json::object{{"index", index}, {"name", call.name}, {"arguments", call.arguments}}}};
}

// Streams of /api/generate and /api/chat; whole answers are their pieces joined.
class TextReply final : public Reply {
 public:
  TextReply(const Call& call, const Stamp& stamp, bool chat)
      : model_(call.model),
        created_(timestamp(stamp.now)),
        chat_(chat),
        render_only_(call.requests.front().render_only),
        // An empty request loads the model: one object, even in a stream.
        stream_(call.stream && !render_only_ &&
                (!call.requests.front().messages.empty() || call.requests.front().raw.has_value())) {}

  std::string_view content_type() const override {
    return stream_ ? "application/x-ndjson" : "application/json; charset=utf-8";
  }

  std::string on(size_t, const Piece& piece) override {
    return std::visit([this](const auto& p) { return take(p); }, piece);
  }

  std::string close() override { return stream_ ? "" : json::serialize(whole_); }

 private:
  struct Part {
    std::string text, thinking;
    json::array calls;
    std::vector<from_child::TokenProbability> tokens;
  };

  json::object object(const Part& part) const {
    json::object o{{"model", model_},
                   {"created_at", stream_ ? timestamp(std::chrono::system_clock::now()) : created_}};
    if (chat_) {
      json::object message{{"role", "assistant"}, {"content", part.text}};
      if (!part.thinking.empty()) message["thinking"] = part.thinking;
      if (!part.calls.empty()) message["tool_calls"] = part.calls;
      o["message"] = std::move(message);
    } else {
      o["response"] = part.text;
      if (!part.thinking.empty()) o["thinking"] = part.thinking;
      if (!part.calls.empty()) o["tool_calls"] = part.calls;
    }
    o["done"] = false;
    if (!part.tokens.empty()) o["logprobs"] = logprobs_json(part.tokens);
    return o;
  }

  std::string add(Part part) {
    if (stream_) return json::serialize(object(part)) + "\n";
    all_.text += part.text;
    all_.thinking += part.thinking;
    for (Json& c : part.calls) all_.calls.push_back(std::move(c));
    all_.tokens.insert(all_.tokens.end(), part.tokens.begin(), part.tokens.end());
    return {};
  }

  std::string take(const from_child::Text& p) { return add({p.text, {}, {}, p.tokens}); }
  std::string take(const from_child::Thinking& p) { return add({{}, p.text, {}, {}}); }
  std::string take(const from_child::Called& p) { return add({{}, {}, {call_json(p.call, calls_++)}, {}}); }
  std::string take(const from_child::Vectors&) { return {}; }
  std::string take(const from_child::PromptProgress& p) {
    if (!stream_) return {};
    json::object o = object({});
    o["prompt_progress"] = progress_json(p);
    return json::serialize(o) + "\n";
  }

  std::string take(const from_child::Done& p) {
    json::object o = object(stream_ || render_only_ ? Part() : all_);
    if (render_only_) o["_debug_info"] = json::object{{"rendered_template", all_.text}, {"image_count", 0}};
    o["done"] = true;
    o["done_reason"] = p.reason == "cancelled" ? "stop" : p.reason;
    if (!chat_ && !p.context.empty()) o["context"] = json::value_from(p.context);
    if (p.reason != "load" && p.reason != "unload") put_statistics(o, p.statistics);
    if (stream_) return json::serialize(o) + "\n";
    whole_ = std::move(o);
    return {};
  }

  std::string take(const from_child::Failed& p) {
    return json::serialize(error_json(Error(p.code, p.message, p.remedy))) + "\n";
  }

  std::string model_, created_;
  bool chat_, render_only_, stream_;
  size_t calls_ = 0;
  Part all_;
  json::object whole_;
};

class EmbedReply final : public Reply {
 public:
  EmbedReply(std::string model, uint32_t dimensions) : model_(std::move(model)), dimensions_(dimensions) {}
  std::string_view content_type() const override { return "application/json; charset=utf-8"; }

  std::string on(size_t, const Piece& piece) override {
    if (const auto* v = std::get_if<from_child::Vectors>(&piece)) vectors_ = v->vectors;
    if (const auto* d = std::get_if<from_child::Done>(&piece)) statistics_ = d->statistics;
    return {};
  }

  std::string close() override {
    json::array list;
    for (std::vector<float>& v : vectors_) list.push_back(json::value_from(shortened(v)));
    json::object o{{"model", model_}, {"embeddings", std::move(list)}};
    if (vectors_.empty()) return json::serialize(o);
    o["total_duration"] = nanoseconds(statistics_.total);
    o["load_duration"] = nanoseconds(statistics_.load);
    o["prompt_eval_count"] = statistics_.prompt_tokens;
    if (statistics_.truncated_tokens > 0) o["prompt_truncated"] = statistics_.truncated_tokens;
    return json::serialize(o);
  }

 private:
  // The first dimensions, normalised again.
  std::vector<float> shortened(std::vector<float>& v) const {
    if (dimensions_ == 0 || dimensions_ >= v.size()) return v;
    v.resize(dimensions_);
    double sum = 0;
    for (const float x : v) sum += double{x} * x;
    for (float& x : v) x = sum > 0 ? static_cast<float>(x / std::sqrt(sum)) : 0.0F;
    return v;
  }

  std::string model_;
  uint32_t dimensions_;
  std::vector<std::vector<float>> vectors_;
  Statistics statistics_;
};

class EmbeddingsReply final : public Reply {
 public:
  std::string_view content_type() const override { return "application/json; charset=utf-8"; }
  std::string on(size_t, const Piece& piece) override {
    if (const auto* v = std::get_if<from_child::Vectors>(&piece)) vector_ = v->vectors.at(0);
    return {};
  }
  std::string close() override {
    return json::serialize(json::object{{"embedding", json::value_from(vector_)}});
  }

 private:
  std::vector<float> vector_;
};

}  // namespace

std::unique_ptr<Reply> generate_reply(const Call& call, const Stamp& stamp) {
  return std::make_unique<TextReply>(call, stamp, false);
}
std::unique_ptr<Reply> chat_reply(const Call& call, const Stamp& stamp) {
  return std::make_unique<TextReply>(call, stamp, true);
}
std::unique_ptr<Reply> embed_reply(const Call& call, const Stamp&, uint32_t dimensions) {
  return std::make_unique<EmbedReply>(call.model, dimensions);
}
std::unique_ptr<Reply> embeddings_reply() { return std::make_unique<EmbeddingsReply>(); }

}  // namespace hearth::ollama
