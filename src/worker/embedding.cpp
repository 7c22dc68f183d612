// Jobs that answer with vectors.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include "worker/rerank.h"
#include "worker/work.h"

namespace hearth {
namespace {

class Embedding final : public Work {
 public:
  Embedding(RequestId request_id, const Request& request, const WorkContext& context)
      : Work(request_id), out_(context.out), normalise_(request.normalise && !request.query) {
    statistics_.load = context.load_seconds;
    const Tokenizer& tokenizer = *context.model.tokenizer;
    if (request.query) {
      judge(request, context);
      return;
    }
    texts_.resize(request.embed.size() + request.embed_tokens.size());
    for (size_t i = 0; i < texts_.size(); ++i) {
      const size_t given = i - std::min(i, request.embed.size());
      texts_[i].tokens =
          i < request.embed.size()
              ? fitting(tokenizer.encode(request.embed[i], {true, false}), request.truncate, context)
              : fitting(checked(request.embed_tokens[given], tokenizer), request.truncate, context);
      statistics_.prompt_tokens += static_cast<uint32_t>(texts_[i].tokens.size());
    }
  }

  // Pairs of the query and each text, as the model was trained to see them.
  void judge(const Request& request, const WorkContext& context) {
    const RerankPrompt pairs(context.model);
    answer_ = pairs.answer();
    for (const std::string& text : request.embed) {
      uint32_t cut = 0;
      Entry entry;
      entry.tokens = pairs.tokens(*request.query, text, context.engine.plan().context, cut);
      if (cut > 0 && !request.truncate) refuse_long(entry.tokens.size() + cut, context.engine.plan().context);
      statistics_.truncated_tokens += cut;
      statistics_.prompt_tokens += static_cast<uint32_t>(entry.tokens.size());
      texts_.push_back(std::move(entry));
    }
  }

  void place(Sequences& sequences) override {
    for (; next_ < texts_.size(); ++next_) {
      Entry& text = texts_[next_];
      Task task;
      task.tokens = text.tokens;
      task.scores = [&text](uint32_t, std::span<const float> values) {
        text.vector.assign(values.begin(), values.end());
      };
      try {
        text.sequence = sequences.begin(task).id;
      } catch (const Error& e) {
        if (e.code == Code::busy && std::any_of(texts_.begin(), texts_.end(), is_running)) return;
        throw;
      }
      text.running = true;
    }
  }

  void advance(Sequences& sequences) override {
    for (Entry& text : texts_) {
      if (!text.running || text.vector.empty()) continue;
      sequences.remove(text.sequence);
      text.running = false;
    }
    if (next_ == texts_.size() && std::none_of(texts_.begin(), texts_.end(), is_running)) finish();
  }

  void cancel(Sequences& sequences) override {
    release(sequences);
    if (!std::exchange(over_, true)) out_(from_child::Done{id, "cancelled", statistics_});
  }

  void fail(Sequences& sequences, const Error& e) override {
    release(sequences);
    if (!std::exchange(over_, true)) out_(from_child::Failed{id, e.code, e.message, e.remedy});
  }

  bool waiting() const override { return !over_ && next_ < texts_.size(); }
  bool over() const override { return over_; }

 private:
  struct Entry {
    std::vector<TokenId> tokens;
    std::vector<float> vector;
    SeqId sequence;
    bool running = false;
  };
  static bool is_running(const Entry& text) { return text.running; }

  static std::vector<TokenId> checked(const std::vector<int32_t>& given, const Tokenizer& tokenizer) {
    std::vector<TokenId> tokens;
    for (const int32_t id : given) {
      if (id < 0 || static_cast<size_t>(id) >= tokenizer.size()) {
        throw Error(Code::bad_request, fmt::format("invalid input: the model has no token {}", id),
                    "send texts, or tokens of this model");
      }
      tokens.push_back({id});
    }
    return tokens;
  }

  [[noreturn]] static void refuse_long(size_t tokens, uint32_t most) {
    throw Error(Code::bad_request,
                fmt::format("the input length exceeds the context length: {} tokens, {} fit", tokens, most),
                "shorten the input, or leave \"truncate\" on");
  }

  std::vector<TokenId> fitting(std::vector<TokenId> tokens, bool truncate, const WorkContext& context) {
    const Tokenizer& tokenizer = *context.model.tokenizer;
    const uint32_t most = context.engine.plan().context;
    if (tokens.empty()) {
      throw Error(Code::bad_request, "an input has no tokens", "give each input at least one character");
    }
    if (tokens.size() <= most) return tokens;
    if (!truncate) refuse_long(tokens.size(), most);
    statistics_.truncated_tokens += static_cast<uint32_t>(tokens.size()) - most;
    const TokenId last = tokens.back();
    tokens.resize(most);
    if (tokenizer.is_control(last)) tokens.back() = last;
    return tokens;
  }

  void finish() {
    from_child::Vectors message{id, {}};
    for (Entry& text : texts_) {
      double sum = 0;
      for (const float v : text.vector) sum += double{v} * v;
      if (!std::isfinite(sum)) {
        over_ = true;
        out_(from_child::Failed{id, Code::bad_request, "a vector holds values that are not numbers",
                                "use another quantization of this model"});
        return;
      }
      const auto scale = !normalise_ ? 1.0F : sum > 0 ? static_cast<float>(1 / std::sqrt(sum)) : 0.0F;
      for (float& v : text.vector) v *= scale;
      if (answer_) text.vector = {text.vector[std::min(*answer_, text.vector.size() - 1)]};
      message.vectors.push_back(std::move(text.vector));
    }
    over_ = true;
    statistics_.prompt = statistics_.total =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    out_(message);
    out_(from_child::Done{id, "stop", statistics_});
  }

  void release(Sequences& sequences) {
    for (Entry& text : texts_) {
      if (std::exchange(text.running, false)) sequences.remove(text.sequence);
    }
  }

  Outbox out_;
  bool normalise_;
  std::optional<size_t> answer_;  // of a reranker: the output that says "it answers"
  std::vector<Entry> texts_;
  size_t next_ = 0;
  Statistics statistics_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  bool over_ = false;
};

}  // namespace

std::unique_ptr<Work> make_embedding(RequestId id, const Request& request, const WorkContext& context) {
  const std::string& name = request.model.empty() ? context.model.name : request.model;
  if (request.query && context.engine.model().hyper.pooling != PoolKind::rank) {
    throw Error(Code::unsupported, fmt::format("\"{}\" does not support reranking: it judges no pairs", name),
                "use a reranker, or compare the vectors of /v1/embeddings");
  }
  if (!context.engine.model().program.pooled) {
    throw Error(Code::unsupported, fmt::format("\"{}\" does not support embeddings: it makes text", name),
                "use an embedding model");
  }
  return std::make_unique<Embedding>(id, request, context);
}

}  // namespace hearth
