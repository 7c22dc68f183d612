#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "engine/sequence.h"
#include "protocol/messages.h"
#include "text/detokenizer.h"
#include "text/output.h"
#include "text/stop.h"

namespace hearth {

// Sends an event to the parent; false when it is gone.
using Outbox = std::function<bool(const FromChild&)>;

// What becomes of a reply when its sequence ends.
enum class AnswerState : uint8_t {
  running,
  full,     // the context takes no more tokens: its owner shifts it, or ends it
  starved,  // the cache had no page left: it goes on when others have ended
  over      // Done or Failed was sent
};

// One answer on its way out: tokens → characters → what stop strings leave → thinking, calls, text → events.
class AnswerWriter final : public TokenSink {
 public:
  // `format` says how the model marks thinking and calls; `starts_thinking` that its prompt has opened the
  // thinking.
  AnswerWriter(const RequestId& id, const Request& request, const Tokenizer& tokenizer,
               const OutputFormat& format, bool starts_thinking, Outbox out);

  bool token(TokenId token, std::span<const float> logits) override;
  void finished(Finish why) override;
  void failed(const Error& error) override { fail(error); }

  // Sends what was held back, and Done.
  void finish(const char* reason);
  void fail(const Error& error);
  // So many tokens of the prompt are computed or taken over; told where that was asked for.
  void progress(uint32_t processed);
  // The next token belongs to the thinking, as far as is known.
  bool thinking() const noexcept { return parser_.thinking(); }

  AnswerState state = AnswerState::running;
  Statistics statistics;
  std::vector<int32_t> context;  // tokens that Done tells, where that was asked for

 private:
  void note_probability(TokenId token, std::span<const float> logits);
  std::string text_of(TokenId token);
  bool send(const std::string& text, bool last = false);
  bool send(const OutputPiece& piece);
  void note_first_token();

  RequestId id_;
  const Tokenizer& tokenizer_;
  Detokenizer detokenizer_;
  StopScanner stops_;
  std::vector<std::string> markers_;  // shown to the parser even where they are control tokens
  OutputParser parser_;
  uint32_t calls_ = 0;
  Outbox out_;
  std::optional<uint32_t> logprobs_;
  std::vector<from_child::TokenProbability> probabilities_;  // not sent yet
  bool want_context_ = false, stopped_ = false, want_progress_ = false;
  std::optional<uint32_t> processed_;  // told last
  std::chrono::steady_clock::time_point begin_, first_token_;
};

}  // namespace hearth
