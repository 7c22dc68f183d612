#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "base/id.h"
#include "text/token_filter.h"

namespace hearth {

// How a token is drawn. Names, defaults and meaning are those of Ollama's options.
struct SamplingOptions {
  float temperature = 0.8F;    // 0 = always the likeliest
  int32_t top_k = 40;          // 0 or below: off
  float top_p = 0.9F;          // 1 = off
  float min_p = 0.0F;          // 0 = off
  float typical_p = 1.0F;      // 1 = off
  int32_t repeat_last_n = 64;  // tokens that penalties look back on; 0 = off, −1 = all
  float repeat_penalty = 1.0F;
  float presence_penalty = 0.0F, frequency_penalty = 0.0F;
  int32_t mirostat = 0;  // 0 = off, 1 or 2
  float mirostat_tau = 5.0F, mirostat_eta = 0.1F;
  std::optional<uint64_t> seed;         // none = drawn from the system; Sampler::seed() says which
  std::map<TokenId, float> logit_bias;  // added to the score; −infinity bans
};

// Throws Error(bad_request) naming the option that is out of range.
void validate(const SamplingOptions& options);

// Draws tokens. The order of its steps: bias, penalties, filter, top-k, typical-p, top-p, min-p, temperature,
// draw; mirostat replaces the cuts. The same seed, scores and history give the same tokens on every machine
// with the same build. Copying a sampler copies its state.
class Sampler {
 public:
  Sampler(SamplingOptions options, uint32_t vocabulary);

  // Chooses from one row of scores [vocabulary]; does not allocate. Throws Error(device_lost) if no score is
  // a number, Error(bad_request) if the filter allows none.
  TokenId choose(std::span<const float> logits, const TokenFilter* filter);
  // Remembers a token of the prompt or one that was chosen, for the penalties.
  void accept(TokenId token);

  uint64_t seed() const noexcept { return seed_; }
  void reseed(uint64_t seed);

 private:
  struct Candidate {
    float logit;
    int32_t token;
    float p;
  };

  void gather(std::span<const float> logits, const TokenFilter* filter);
  void penalise();
  void keep_best(size_t count);
  void softmax();
  void heat();
  void cut_typical();
  void cut_top_p();
  void cut_min_p();
  TokenId greedy() const;
  TokenId draw();
  TokenId draw_mirostat();
  double uniform();

  SamplingOptions options_;
  uint32_t vocabulary_;
  uint64_t seed_ = 0;
  uint64_t state_[4] = {};         // xoshiro256**
  float mu_ = 0;                   // mirostat's running target
  std::vector<float> scores_;      // [vocabulary] after bias and penalties
  std::vector<uint64_t> allowed_;  // bit per token
  std::vector<Candidate> candidates_;
  std::vector<uint32_t> counts_;  // [vocabulary] occurrences within the window
  std::vector<TokenId> window_;   // ring of the last repeat_last_n tokens; empty when there is no bound
  size_t window_at_ = 0;
  std::vector<int32_t> seen_;  // tokens with a count above 0, each once
};

// Natural logarithm of the probability of `token` under the raw scores.
double log_probability(std::span<const float> logits, TokenId token);

// The `count` likeliest tokens of the raw scores, best first (equals: lowest id first).
std::vector<TokenId> likeliest(std::span<const float> logits, size_t count);

}  // namespace hearth
