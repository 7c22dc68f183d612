#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "engine/dry.h"
#include "text/token_filter.h"

namespace hearth {

// What is done with the scores before one is drawn.
enum class SamplerStep : uint8_t {
  penalties,
  dry,
  top_k,
  top_n_sigma,
  typical_p,
  top_p,
  min_p,
  xtc,
  temperature
};
// By its name, or a name that others use ("typ_p", "temp"); none: there is no such step.
std::optional<SamplerStep> sampler_step(std::string_view name);
// All names, for messages.
std::string_view sampler_step_names();

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
  float top_n_sigma = -1.0F;     // 0 or below: off
  float xtc_probability = 0.0F;  // 0 = off
  float xtc_threshold = 0.1F;
  float dry_multiplier = 0.0F;  // 0 = off
  float dry_base = 1.75F;
  int32_t dry_allowed_length = 2;
  int32_t dry_penalty_last_n = -1;               // 0 = off, −1 = all
  std::shared_ptr<const TokenSet> dry_breakers;  // null: none
  // The steps in their order, each as often as it is named; those that are not named are left out.
  std::optional<std::vector<SamplerStep>> order;  // none = all of them as they are declared
  std::optional<uint64_t> seed;                   // none = drawn from the system; Sampler::seed() says which
  std::map<TokenId, float> logit_bias;  // added to the score; −infinity bans, ids outside count for nothing

  bool penalises() const {
    return repeat_last_n != 0 &&
           (repeat_penalty != 1.0F || presence_penalty != 0.0F || frequency_penalty != 0.0F) &&
           uses(SamplerStep::penalties);
  }
  bool dries() const { return dry_multiplier > 0 && dry_penalty_last_n != 0 && uses(SamplerStep::dry); }
  bool uses(SamplerStep step) const;
};

// Throws Error(bad_request) naming the option that is out of range.
void validate(const SamplingOptions& options);

// A token that can still be drawn. Weights are probabilities but for a common factor.
struct Candidate {
  float score = 0;
  int32_t token = 0;
  double weight = 0;
};

// The last tokens of a sequence, or all of them, each with the number of times it occurs.
class RecentTokens {
 public:
  RecentTokens() = default;  // remembers nothing
  // `last`: −1 = all. Ids from `vocabulary` on are not remembered.
  RecentTokens(int32_t last, uint32_t vocabulary);

  void add(TokenId token);
  // Each remembered token once, in no order.
  std::span<const int32_t> distinct() const noexcept { return distinct_; }
  uint32_t occurrences(int32_t token) const { return counts_[static_cast<size_t>(token)]; }

 private:
  size_t last_ = 0;               // most tokens of the window; 0 = no bound
  std::vector<uint32_t> counts_;  // [vocabulary]
  std::vector<int32_t> window_;   // ring; empty when there is no bound
  size_t oldest_ = 0;
  std::vector<int32_t> distinct_;
};

// Draws tokens. The order of its steps: bias, penalties, dry, filter, top-k, top-n-sigma, typical-p, top-p,
// min-p, xtc, temperature, draw; SamplingOptions::order gives another one to those between bias and draw
// (the filter comes before the first cut). Mirostat replaces the cuts, and so does a temperature of 0 where
// there is that step. The same seed, scores and history give the same tokens with every compiler and standard
// library. Copying a sampler copies its state. Not thread-safe.
class Sampler {
 public:
  Sampler(SamplingOptions options, uint32_t vocabulary);

  // Chooses from one row of scores [vocabulary]; does not allocate (a copy does once). Scores of −infinity
  // and those that are not numbers are never chosen, of several +infinity each is as likely. Throws
  // Error(device_lost) if no score is a number, Error(bad_request) if the filter or the bias allow none.
  TokenId choose(std::span<const float> logits, const TokenFilter* filter);
  // Remembers a token of the prompt or one that was chosen, for the penalties.
  void accept(TokenId token) {
    recent_.add(token);
    dry_.add(token);
  }

  uint64_t seed() const noexcept { return seed_; }
  void reseed(uint64_t seed);

 private:
  void divide_steps();
  std::span<const float> adjusted(std::span<const float> logits);
  float penalised(float score, int32_t token) const;
  void gather(std::span<const float> scores, size_t count, bool filtered);
  TokenId greedy(std::span<const float> scores, bool filtered) const;
  bool allowed(size_t token) const { return ((allowed_[token / 64] >> (token % 64)) & 1U) != 0; }
  void cut(std::span<const float> scores);
  void apply(SamplerStep step, std::span<const float> scores);
  void penalise_candidates();
  void dry_candidates();
  void heat_candidates();
  void weigh();
  TokenId draw();
  TokenId draw_mirostat();
  double uniform();

  SamplingOptions options_;
  uint32_t vocabulary_;
  uint64_t seed_ = 0;
  uint64_t state_[4] = {};                  // xoshiro256**
  double mu_ = 0;                           // mirostat's running bound of the surprise, in bits
  RecentTokens recent_;                     // of use only where the options penalise
  sampling::Dry dry_;                       // the same
  std::vector<SamplerStep> front_, steps_;  // on all scores; on the candidates
  bool greedy_ = false;
  std::vector<float> scores_;      // [vocabulary] after bias and penalties; empty where there are none
  std::vector<float> amounts_;     // [vocabulary] zeros, where dry looks at candidates
  std::vector<uint64_t> allowed_;  // bit per token
  size_t room_;                    // most candidates at a time
  std::vector<Candidate> candidates_;
  bool weighed_ = false;    // the candidates' weights are those of their scores
  float sharpened_ = 1.0F;  // what their scores were divided by
};

struct TokenLogProbability {
  TokenId token;
  double value = 0;  // natural logarithm, 0 or less
};

struct LogProbabilities {
  double chosen = 0;
  std::vector<TokenLogProbability> best;  // likeliest first, of equals the lowest id
};

// Under the raw scores, before any option: that of `chosen`, and the `count` likeliest tokens with theirs.
// Scores that are not numbers count as −infinity. Throws Error(device_lost) if no score is a number.
LogProbabilities log_probabilities(std::span<const float> logits, TokenId chosen, size_t count);

}  // namespace hearth
