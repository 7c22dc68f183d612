#include "worker/answer_writer.h"

#include <algorithm>
#include <random>

#include "engine/sampler.h"
#include "text/tokenizer.h"

namespace hearth {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::vector<std::string> tool_names(const Json& tools) {
  std::vector<std::string> names;
  if (!tools.is_array()) return names;
  for (const Json& tool : tools.as_array()) {
    const Json* function = tool.is_object() ? tool.as_object().if_contains("function") : nullptr;
    const Json* name =
        function != nullptr && function->is_object() ? function->as_object().if_contains("name") : nullptr;
    if (name != nullptr && name->is_string()) names.emplace_back(name->as_string());
  }
  return names;
}

Json tool_parameters(const Json& tools) {
  json::object all;
  if (!tools.is_array()) return all;
  for (const Json& tool : tools.as_array()) {
    const Json* function = tool.is_object() ? tool.as_object().if_contains("function") : nullptr;
    if (function == nullptr || !function->is_object()) continue;
    const Json* name = function->as_object().if_contains("name");
    const Json* parameters = function->as_object().if_contains("parameters");
    if (name != nullptr && name->is_string() && parameters != nullptr) all[name->as_string()] = *parameters;
  }
  return all;
}

// The same for the same seed.
std::string call_id(uint64_t seed, uint32_t number) {
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::mt19937_64 random(seed * 31 + number);
  std::string id = "call_";
  for (int i = 0; i < 8; ++i) id += letters[random() % letters.size()];
  return id;
}

}  // namespace

AnswerWriter::AnswerWriter(const RequestId& id, const Request& request, const Tokenizer& tokenizer,
                           const OutputFormat& format, bool starts_thinking, Outbox out)
    : id_(id),
      tokenizer_(tokenizer),
      detokenizer_(tokenizer, {false, false}),
      stops_(request.stop),
      markers_(format.markers()),
      parser_(format, {starts_thinking, tool_names(request.tools), tool_parameters(request.tools)}),
      out_(std::move(out)),
      logprobs_(request.logprobs),
      want_context_(request.want_context),
      want_progress_(request.progress),
      begin_(Clock::now()) {}

void AnswerWriter::note_first_token() {
  statistics.prompt = seconds_since(begin_);
  first_token_ = Clock::now();
}

void AnswerWriter::progress(uint32_t processed) {
  if (!want_progress_ || statistics.generated_tokens > 0 || processed_ == processed) return;
  processed_ = processed;
  out_(from_child::PromptProgress{id_, statistics.prompt_tokens, statistics.cached_tokens, processed,
                                  seconds_since(begin_)});
}

void AnswerWriter::note_probability(TokenId token, std::span<const float> logits) {
  const LogProbabilities p = log_probabilities(logits, token, *logprobs_);
  from_child::TokenProbability told{std::string(tokenizer_.piece(token)), p.chosen, {}};
  for (const TokenLogProbability& best : p.best) {
    told.best.emplace_back(std::string(tokenizer_.piece(best.token)), best.value);
  }
  probabilities_.push_back(std::move(told));
}

bool AnswerWriter::token(TokenId token, std::span<const float> logits) {
  if (statistics.generated_tokens == 0) {
    progress(statistics.prompt_tokens);
    note_first_token();
  }
  ++statistics.generated_tokens;
  if (thinking()) ++statistics.thinking_tokens;
  if (logprobs_) note_probability(token, logits);
  if (want_context_) context.push_back(token.value);
  const StopResult result = stops_.push(text_of(token));
  const bool heard = send(result.text);
  stopped_ = result.stop.has_value();
  return heard && !stopped_;
}

std::string AnswerWriter::text_of(TokenId token) {
  const std::string_view piece = tokenizer_.piece(token);
  const bool marker =
      tokenizer_.is_control(token) && !piece.empty() &&
      std::any_of(markers_.begin(), markers_.end(), [&](const std::string& m) { return m == piece; });
  return marker ? detokenizer_.flush() + std::string(piece) : detokenizer_.push(token);
}

bool AnswerWriter::send(const std::string& text, bool last) {
  bool heard = true;
  for (const OutputPiece& piece : parser_.push(text)) heard = send(piece) && heard;
  if (last) {
    for (const OutputPiece& piece : parser_.finish()) heard = send(piece) && heard;
  }
  return heard;
}

bool AnswerWriter::send(const OutputPiece& piece) {
  if (const auto* thought = std::get_if<OutputThought>(&piece))
    return out_(from_child::Thinking{id_, thought->text});
  if (const auto* call = std::get_if<OutputCall>(&piece)) {
    return out_(from_child::Called{id_, {call_id(statistics.seed, calls_++), call->name, call->arguments}});
  }
  return out_(from_child::Text{id_, std::get<OutputText>(piece).text, std::exchange(probabilities_, {})});
}

void AnswerWriter::finished(Finish why) {
  switch (why) {
    case Finish::full: state = AnswerState::full; return;
    case Finish::failed: state = AnswerState::starved; return;
    case Finish::length: finish("length"); return;
    case Finish::stopped:
    case Finish::end_of_text: finish("stop"); return;
  }
}

void AnswerWriter::finish(const char* reason) {
  if (state == AnswerState::over) return;
  state = AnswerState::over;
  if (statistics.generated_tokens == 0) note_first_token();
  std::string rest;
  if (!stopped_) {
    rest = stops_.push(detokenizer_.flush()).text;
    rest += stops_.flush();
  }
  send(rest, true);
  if (!probabilities_.empty()) out_(from_child::Text{id_, "", std::exchange(probabilities_, {})});
  statistics.generation = seconds_since(first_token_);
  statistics.total = seconds_since(begin_);
  out_(from_child::Done{id_, reason, statistics, want_context_ ? context : std::vector<int32_t>()});
}

void AnswerWriter::fail(const Error& error) {
  if (state == AnswerState::over) return;
  state = AnswerState::over;
  out_(from_child::Failed{id_, error.code, error.message, error.remedy});
}

}  // namespace hearth
