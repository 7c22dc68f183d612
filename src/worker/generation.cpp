// Jobs that answer in text.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "worker/prompt.h"
#include "worker/sampling.h"
#include "worker/thinking.h"
#include "worker/work.h"

namespace hearth {
namespace {

// Some templates write the beginning of the thinking themselves.
bool opens_thinking(std::string_view prompt, const OutputFormat& format) {
  const size_t end = prompt.find_last_not_of(" \t\r\n");
  return !format.think_open.empty() && end != std::string_view::npos &&
         prompt.substr(0, end + 1).ends_with(format.think_open);
}

class Generation final : public Work {
 public:
  Generation(RequestId request_id, const Request& request, ReadyPrompt prompt, const OutputFormat& format,
             std::unique_ptr<GrammarFilter> filter, const WorkContext& context)
      : Work(request_id),
        filter_(std::move(filter)),
        reply_(request_id, request, *context.model.tokenizer, format, opens_thinking(prompt.text, format),
               context.out),
        tokens_(std::move(prompt.tokens)),
        shift_(request.shift),
        context_(context.engine.plan().context) {
    const RequestOptions options = options_of(request.sampling);
    sampling_ = options.sampling;
    if (sampling_.dries()) sampling_.dry_breakers = context.breakers.of(options.dry_breakers);
    if (options.ignore_eos) {
      for (const TokenId end : context.model.tokenizer->end_tokens())
        sampling_.logit_bias[end] = -std::numeric_limits<float>::infinity();
    }
    if (request.think_budget) {
      const bool calls = request.tools.is_array() && !request.tools.as_array().empty();
      budget_.emplace(*request.think_budget, thinking_end(format, calls, *context.model.tokenizer), reply_,
                      filter_.get());
    }
    keep_ = kept_tokens({context_, options.num_keep}, *context.model.tokenizer);
    // An answer without an end is cut off where the reference does it.
    const uint32_t most = 10 * context_;
    most_tokens_ = request.max_tokens == 0 ? most : std::min(request.max_tokens, most);
    reply_.statistics.prompt_tokens = static_cast<uint32_t>(tokens_.size());
    reply_.statistics.truncated_tokens = prompt.truncated;
    reply_.statistics.seed = *sampling_.seed;
    reply_.statistics.load = context.load_seconds;
    for (const TokenId t : tokens_) reply_.context.push_back(t.value);
  }

  void place(Sequences& sequences) override {
    const auto begun = sequences.begin(task(tokens_));
    sequence_ = begun.id;
    placed_ = true;
    sampler_.reset();
    tokens_.clear();
    if (reply_.statistics.generated_tokens > 0) return;
    reply_.statistics.cached_tokens = begun.cached;
    reply_.progress(begun.cached);
  }

  void advance(Sequences& sequences) override {
    if (!placed_) return;
    if (reply_.statistics.generated_tokens == 0) reply_.progress(sequences[sequence_].computed);
    if (reply_.state == AnswerState::full) go_on(sequences);
    if (reply_.state == AnswerState::starved) step_aside(sequences);
    if (reply_.state == AnswerState::over) release(sequences);
  }

  void cancel(Sequences& sequences) override {
    reply_.finish("cancelled");
    if (placed_) sequences.remove(sequence_);
    placed_ = false;
  }

  void fail(Sequences& sequences, const Error& error) override {
    reply_.fail(error);
    if (placed_) sequences.remove(sequence_);
    placed_ = false;
  }

  bool waiting() const override { return !placed_ && !over(); }
  bool over() const override { return reply_.state == AnswerState::over; }

 private:
  Task task(std::vector<TokenId> tokens) {
    Task t;
    t.tokens = std::move(tokens);
    t.sampling = sampling_;
    // What follows a shift of the context draws other numbers than its beginning did, and always the same.
    *t.sampling.seed += reply_.statistics.generated_tokens;
    t.drawn = drawn_;
    t.sampler = sampler_;
    t.max_tokens = most_tokens_ - reply_.statistics.generated_tokens;
    t.sink = &reply_;
    t.filter = budget_ ? static_cast<TokenFilter*>(&*budget_) : filter_.get();
    return t;
  }

  // The context is full: half of what is not kept goes, and the answer goes on.
  void go_on(Sequences& sequences) {
    if (!shift_) return reply_.finish("length");
    const auto& all = sequences[sequence_].tokens;
    const size_t discard = std::max<size_t>((all.size() - keep_) / 2, 1);
    if (keep_ + discard >= all.size()) return reply_.finish("length");
    const std::vector<TokenId> rest(all.begin() + static_cast<std::ptrdiff_t>(keep_ + discard), all.end());
    reply_.state = AnswerState::running;
    drawn_ = 0;
    sequences.cut(sequence_, keep_, task(rest));
  }

  // Others need the pages: it comes back with all its tokens when they are done, and says what it would have
  // said.
  void step_aside(Sequences& sequences) {
    const Sequence& s = sequences[sequence_];
    tokens_ = s.tokens;
    drawn_ += s.generated;
    sampler_ = s.sampler;
    reply_.state = AnswerState::running;
    sequences.remove(sequence_);
    placed_ = false;
  }

  void release(Sequences& sequences) {
    sequences.rest(sequence_);
    placed_ = false;
  }

  std::unique_ptr<GrammarFilter> filter_;  // null: any text
  AnswerWriter reply_;
  std::optional<ThinkingBudget> budget_;
  std::vector<TokenId> tokens_;
  uint32_t drawn_ = 0;              // of tokens_, since the prompt or the last shift
  std::optional<Sampler> sampler_;  // of an answer that waits
  SamplingOptions sampling_;
  bool shift_;
  uint32_t context_, keep_ = 0, most_tokens_ = 0;
  SeqId sequence_;
  bool placed_ = false;
};

// A prompt that is only looked at.
class Shown final : public Work {
 public:
  Shown(RequestId request_id, const Request& request, const ReadyPrompt& prompt, const Outbox& out)
      : Work(request_id) {
    if (request.render_only) out(from_child::Text{id, prompt.text});
    Statistics s;
    s.prompt_tokens = static_cast<uint32_t>(prompt.tokens.size());
    std::vector<int32_t> tokens;
    for (const TokenId t : prompt.tokens) tokens.push_back(t.value);
    out(from_child::Done{id, "stop", s, request.want_context ? tokens : std::vector<int32_t>()});
  }
  void place(Sequences&) override {}
  void advance(Sequences&) override {}
  void cancel(Sequences&) override {}
  void fail(Sequences&, const Error&) override {}
  bool waiting() const override { return false; }
  bool over() const override { return true; }
};

}  // namespace

std::unique_ptr<Work> make_generation(RequestId id, const Request& request, const WorkContext& context) {
  if (context.engine.model().program.pooled) {
    throw Error(Code::bad_request,
                fmt::format("\"{}\" does not support {}: it is an embedding model",
                            request.model.empty() ? context.model.name : request.model,
                            request.chat ? "chat" : "generate"),
                "use /api/embed with it, or another model");
  }
  // A raw prompt without a suffix needs no template, not even a sound one.
  ChosenTemplate chosen;
  if (!request.raw || request.suffix) {
    chosen = context.templates.choose(request);
    check_abilities(request, chosen, context.model);
  }
  const PromptRoom room{context.engine.plan().context, options_of(request.sampling).num_keep};
  ReadyPrompt prompt = make_prompt(request, chosen, context.model, room);
  if (request.render_only || request.count_only) {
    return std::make_unique<Shown>(id, request, prompt, context.out);
  }
  // Raw prompts are answered raw.
  const OutputFormat format = request.raw ? OutputFormat{} : chosen.format;
  // A grammar is for the answer, not for what is thought before it.
  GrammarFrame frame;
  frame.channels = format.calls == CallStyle::channels;
  frame.opened = opens_thinking(prompt.text, format);
  if (frame.opened || thinks(request, chosen).value_or(false)) {
    frame.think_open = format.think_open;
    frame.think_close = format.think_close;
  }
  auto filter = context.formats.filter(request, format, frame);
  return std::make_unique<Generation>(id, request, std::move(prompt), format, std::move(filter), context);
}

}  // namespace hearth
