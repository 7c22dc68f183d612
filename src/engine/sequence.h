#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/id.h"
#include "engine/sampler.h"
#include "text/token_filter.h"

namespace hearth {

// Why a sequence ended.
enum class Finish : uint8_t {
  end_of_text,
  length,   // as many tokens as were asked for
  full,     // the context takes no more
  stopped,  // by the sink
  failed    // no page left
};

// Receives what a sequence produces, on the engine's thread. Exactly one finished() or failed() per sequence,
// after the last token.
class TokenSink {
 public:
  virtual ~TokenSink() = default;
  // A new token and the raw scores it was drawn from. False ends the sequence with Finish::stopped (a stop
  // string was met, the reader is gone).
  virtual bool token(TokenId token, std::span<const float> logits) = 0;
  virtual void finished(Finish why) = 0;
  // No token can be drawn or told any more, while other sequences go on. Where nobody overrides this the
  // error leaves the step.
  virtual void failed(const Error& error) { throw Error(error); }
};

// Scores (or pooled vectors) of a position, for sequences that are scored instead of continued.
using ScoreSink = std::function<void(uint32_t position, std::span<const float> scores)>;

// What to compute. Either `sink` with sampling (continue the tokens) or `scores` (rate the given tokens, then
// keep the sequence until it is removed).
struct Task {
  std::vector<TokenId> tokens;
  SamplingOptions sampling;
  uint32_t max_tokens = 0;  // new tokens at most; 0 = as many as the context takes
  TokenSink* sink = nullptr;
  TokenFilter* filter = nullptr;
  ScoreSink scores;
  bool every_position = false;  // of the tokens, else only the last
  // A text that was interrupted goes on as if it had not been: the last `drawn` of its tokens were drawn, and
  // are computed by the kernels of generation again; `sampler` is the one that drew them (then `sampling` is
  // not looked at).
  uint32_t drawn = 0;
  std::optional<Sampler> sampler;
};

// One conversation being computed. `computed` tokens have their keys and values in the pages.
struct Sequence {
  SeqId id;
  Task task;
  std::vector<TokenId> tokens;
  uint32_t computed = 0;
  uint32_t prompt = 0;     // tokens that were given, not generated
  uint32_t generated = 0;  // tokens since then
  uint32_t limit = 0;      // tokens in all at most
  // A prompt is computed up to here in the next step: for the others memory must be found first.
  uint32_t present = std::numeric_limits<uint32_t>::max();
  bool done = false;
  std::vector<std::vector<PageId>> pages;  // [cache group]
  std::optional<Sampler> sampler;
  // By `sampler` from the last step's scores, while they are delivered: a token, or why there is none.
  std::optional<TokenId> drawn;
  std::exception_ptr not_drawn;
  std::vector<float> pooled;  // running sum of a mean-pooled model

  // Tokens at the beginning that prompt kernels compute, as far as they fill whole blocks; the others are for
  // those of generation, whatever the batch is like.
  uint32_t prompt_end() const {
    return static_cast<uint32_t>(tokens.size()) -
           std::min(generated + task.drawn, static_cast<uint32_t>(tokens.size()));
  }
  bool decoding() const { return !done && computed + 1 == tokens.size() && generated > 0; }
  bool waiting() const { return !done && computed < tokens.size() && !decoding(); }
};

}  // namespace hearth
