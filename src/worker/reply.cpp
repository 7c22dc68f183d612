#include "worker/reply.h"

#include "engine/sampler.h"
#include "text/tokenizer.h"

namespace hearth {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

}  // namespace

Reply::Reply(const RequestId& id, const Request& request, const Tokenizer& tokenizer, Outbox out)
    : id_(id),
      tokenizer_(tokenizer),
      detokenizer_(tokenizer, {false, false}),
      stops_(request.stop),
      out_(std::move(out)),
      logprobs_(request.logprobs),
      want_context_(request.want_context),
      begin_(Clock::now()) {}

void Reply::note_first_token() {
  statistics.prompt = seconds_since(begin_);
  first_token_ = Clock::now();
}

void Reply::note_probability(TokenId token, std::span<const float> logits) {
  const LogProbabilities p = log_probabilities(logits, token, *logprobs_);
  from_child::TokenProbability told{std::string(tokenizer_.piece(token)), p.chosen, {}};
  for (const TokenLogProbability& best : p.best) {
    told.best.emplace_back(std::string(tokenizer_.piece(best.token)), best.value);
  }
  probabilities_.push_back(std::move(told));
}

bool Reply::token(TokenId token, std::span<const float> logits) {
  if (statistics.generated_tokens++ == 0) note_first_token();
  if (logprobs_) note_probability(token, logits);
  if (want_context_) context.push_back(token.value);
  const StopResult result = stops_.push(detokenizer_.push(token));
  const bool heard = send(result.text);
  stopped_ = result.stop.has_value();
  return heard && !stopped_;
}

bool Reply::send(const std::string& text) {
  if (text.empty()) return true;
  return out_(from_child::Text{id_, text, std::exchange(probabilities_, {})});
}

void Reply::finished(Finish why) {
  switch (why) {
    case Finish::full: state = ReplyState::full; return;
    case Finish::failed: state = ReplyState::starved; return;
    case Finish::length: finish("length"); return;
    case Finish::stopped:
    case Finish::end_of_text: finish("stop"); return;
  }
}

void Reply::finish(const char* reason) {
  if (state == ReplyState::over) return;
  state = ReplyState::over;
  if (statistics.generated_tokens == 0) note_first_token();
  if (!stopped_) {
    const StopResult rest = stops_.push(detokenizer_.flush());
    send(rest.text + stops_.flush());
  }
  if (!probabilities_.empty()) out_(from_child::Text{id_, "", std::exchange(probabilities_, {})});
  statistics.generation = seconds_since(first_token_);
  statistics.total = seconds_since(begin_);
  out_(from_child::Done{id_, reason, statistics, want_context_ ? context : std::vector<int32_t>()});
}

void Reply::fail(const Error& error) {
  if (state == ReplyState::over) return;
  state = ReplyState::over;
  out_(from_child::Failed{id_, error.code, error.message, error.remedy});
}

}  // namespace hearth
