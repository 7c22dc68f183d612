#include "engine/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <utility>

#include "base/error.h"
#include "engine/sampling/candidates.h"

namespace hearth {
namespace {

constexpr float none = -std::numeric_limits<float>::infinity();

void require(bool holds, const char* option, double value, const char* range) {
  if (holds) return;
  throw Error(Code::bad_request, fmt::format("option {} is {}", option, value), fmt::format("use {}", range));
}

uint64_t rotate(uint64_t x, int by) { return (x << by) | (x >> (64 - by)); }

// splitmix64: spreads a seed over the state.
uint64_t spread(uint64_t& x) {
  x += 0x9E3779B97F4A7C15ULL;
  uint64_t z = x;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

constexpr std::array default_order{
    SamplerStep::penalties,   SamplerStep::dry,       SamplerStep::top_k,
    SamplerStep::top_n_sigma, SamplerStep::typical_p, SamplerStep::top_p,
    SamplerStep::min_p,       SamplerStep::xtc,       SamplerStep::temperature};

std::span<const SamplerStep> order_of(const SamplingOptions& o) {
  return o.order ? std::span<const SamplerStep>(*o.order) : std::span<const SamplerStep>(default_order);
}

bool penalises_scores(SamplerStep step) { return step == SamplerStep::penalties || step == SamplerStep::dry; }

// With a top-k as the first cut: twice as many candidates as it keeps, so that one pass over the scores finds
// them.
size_t room_for(int32_t top_k, uint32_t vocabulary) {
  constexpr size_t least = 256;
  return std::min<size_t>(vocabulary, std::max(least, 2 * static_cast<size_t>(top_k)));
}

// The next index from `i` on that may be above `least`: most scores are below the best forty, and are passed
// by sixteen at a time.
size_t next_above(std::span<const float> scores, size_t i, float least) {
  constexpr size_t block = 16;
  const auto none_above = [&] {
    uint32_t above = 0;
    for (size_t j = 0; j < block; ++j) above |= scores[i + j] > least ? 1U : 0U;
    return above == 0;
  };
  while (i % block == 0 && i + block <= scores.size() && none_above()) i += block;
  return i;
}

[[noreturn]] void nothing_to_choose(std::span<const float> logits, bool filtered) {
  const bool numbers = std::any_of(logits.begin(), logits.end(), [](float x) { return x > none; });
  if (!numbers) {
    throw Error(Code::device_lost, "the model's scores are not numbers",
                "the model file may be damaged: verify it, or try HEARTH_CPU=portable");
  }
  if (filtered) {
    throw Error(Code::bad_request, "the output format allows no further token",
                "check the grammar or schema");
  }
  throw Error(Code::bad_request, "option logit_bias bans every token", "ban fewer tokens");
}

}  // namespace

std::optional<SamplerStep> sampler_step(std::string_view name) {
  using enum SamplerStep;
  constexpr std::array<std::pair<std::string_view, SamplerStep>, 12> steps{{{"penalties", penalties},
                                                                            {"dry", dry},
                                                                            {"top_k", top_k},
                                                                            {"top_n_sigma", top_n_sigma},
                                                                            {"typical_p", typical_p},
                                                                            {"typ_p", typical_p},
                                                                            {"typical", typical_p},
                                                                            {"top_p", top_p},
                                                                            {"min_p", min_p},
                                                                            {"xtc", xtc},
                                                                            {"temperature", temperature},
                                                                            {"temp", temperature}}};
  const auto at =
      std::find_if(steps.begin(), steps.end(), [name](const auto& step) { return step.first == name; });
  return at == steps.end() ? std::nullopt : std::optional(at->second);
}

std::string_view sampler_step_names() {
  return "penalties, dry, top_k, top_n_sigma, typical_p, top_p, min_p, xtc, temperature";
}

bool SamplingOptions::uses(SamplerStep step) const {
  return !order || std::find(order->begin(), order->end(), step) != order->end();
}

void validate(const SamplingOptions& o) {
  require(o.temperature >= 0 && std::isfinite(o.temperature), "temperature", o.temperature, "0 or more");
  require(o.top_p >= 0 && o.top_p <= 1, "top_p", o.top_p, "0 to 1");
  require(o.min_p >= 0 && o.min_p <= 1, "min_p", o.min_p, "0 to 1");
  require(o.typical_p >= 0 && o.typical_p <= 1, "typical_p", o.typical_p, "0 to 1");
  require(o.repeat_last_n >= -1, "repeat_last_n", o.repeat_last_n, "-1 (all), 0 (off) or a number of tokens");
  require(o.repeat_penalty > 0 && std::isfinite(o.repeat_penalty), "repeat_penalty", o.repeat_penalty,
          "more than 0");
  require(std::isfinite(o.presence_penalty), "presence_penalty", o.presence_penalty, "a number");
  require(std::isfinite(o.frequency_penalty), "frequency_penalty", o.frequency_penalty, "a number");
  require(std::isfinite(o.top_n_sigma), "top_n_sigma", o.top_n_sigma, "a number; 0 or less is off");
  require(o.xtc_probability >= 0 && o.xtc_probability <= 1, "xtc_probability", o.xtc_probability, "0 to 1");
  require(o.xtc_threshold >= 0 && o.xtc_threshold <= 1, "xtc_threshold", o.xtc_threshold, "0 to 1");
  require(o.dry_multiplier >= 0 && std::isfinite(o.dry_multiplier), "dry_multiplier", o.dry_multiplier,
          "0 (off) or more");
  require(o.dry_base >= 1 && std::isfinite(o.dry_base), "dry_base", o.dry_base, "1 or more");
  require(o.dry_allowed_length >= 0, "dry_allowed_length", o.dry_allowed_length, "0 or more tokens");
  require(o.dry_penalty_last_n >= -1, "dry_penalty_last_n", o.dry_penalty_last_n,
          "-1 (all), 0 (off) or a number of tokens");
  require(o.mirostat >= 0 && o.mirostat <= 2, "mirostat", o.mirostat, "0, 1 or 2");
  require(o.mirostat_tau >= 0 && std::isfinite(o.mirostat_tau), "mirostat_tau", o.mirostat_tau, "0 or more");
  require(o.mirostat_eta >= 0 && std::isfinite(o.mirostat_eta), "mirostat_eta", o.mirostat_eta, "0 or more");
  for (const auto& [token, bias] : o.logit_bias) {
    require(!std::isnan(bias), fmt::format("logit_bias of token {}", token.value).c_str(), bias, "a number");
  }
}

RecentTokens::RecentTokens(int32_t last, uint32_t vocabulary) {
  if (last == 0) return;
  counts_.resize(vocabulary);
  if (last < 0) {
    distinct_.reserve(vocabulary);
    return;
  }
  last_ = static_cast<size_t>(last);
  // A window larger than any conversation would ask for memory that nothing needs: it grows as it fills.
  constexpr size_t most_reserved = 1U << 16;
  window_.reserve(std::min(last_, most_reserved));
  distinct_.reserve(std::min(last_, most_reserved) + 1);
}

void RecentTokens::add(TokenId token) {
  if (token.value < 0 || static_cast<size_t>(token.value) >= counts_.size()) return;
  if (last_ > 0 && window_.size() == last_) {
    const int32_t old = std::exchange(window_[oldest_], token.value);
    oldest_ = (oldest_ + 1) % last_;
    if (--counts_[static_cast<size_t>(old)] == 0) std::erase(distinct_, old);
  } else if (last_ > 0) {
    window_.push_back(token.value);
  }
  if (counts_[static_cast<size_t>(token.value)]++ == 0) distinct_.push_back(token.value);
}

Sampler::Sampler(SamplingOptions options, uint32_t vocabulary)
    : options_(std::move(options)), vocabulary_(vocabulary), room_(vocabulary) {
  validate(options_);
  mu_ = 2 * static_cast<double>(options_.mirostat_tau);
  if (options_.penalises()) recent_ = RecentTokens(options_.repeat_last_n, vocabulary);
  if (options_.dries()) dry_ = sampling::Dry(options_, vocabulary);
  divide_steps();
  if (!front_.empty() || !options_.logit_bias.empty()) scores_.resize(vocabulary);
  allowed_.resize((vocabulary + 63) / 64);
  candidates_.reserve(room_);
  reseed(options_.seed ? *options_.seed : (uint64_t{std::random_device{}()} << 32) | std::random_device{}());
}

// Which steps see all scores, and which the candidates: steps that are switched off are in neither.
void Sampler::divide_steps() {
  const SamplingOptions& o = options_;
  greedy_ = o.temperature == 0 && o.uses(SamplerStep::temperature);
  const bool cuts = !greedy_ && o.mirostat == 0;
  for (const SamplerStep step : order_of(o)) {
    const bool on = step == SamplerStep::penalties     ? o.penalises()
                    : step == SamplerStep::dry         ? o.dries()
                    : step == SamplerStep::top_k       ? o.top_k > 0
                    : step == SamplerStep::top_n_sigma ? o.top_n_sigma > 0
                    : step == SamplerStep::typical_p   ? o.typical_p < 1
                    : step == SamplerStep::top_p       ? o.top_p < 1
                    : step == SamplerStep::min_p       ? o.min_p > 0
                    : step == SamplerStep::xtc         ? o.xtc_probability > 0
                                                       : o.temperature != 1;
    if (!on) continue;
    if (penalises_scores(step) && (steps_.empty() || !cuts)) {
      front_.push_back(step);
    } else if (cuts) {
      steps_.push_back(step);
      if (step == SamplerStep::dry) amounts_.resize(vocabulary_);
    }
  }
  if (greedy_) room_ = 0;
  if (!steps_.empty() && steps_.front() == SamplerStep::top_k) room_ = room_for(o.top_k, vocabulary_);
}

void Sampler::reseed(uint64_t seed) {
  seed_ = seed;
  for (uint64_t& word : state_) word = spread(seed);
}

// xoshiro256** (Blackman and Vigna 2018), its upper 53 bits as a number in [0, 1).
double Sampler::uniform() {
  const uint64_t result = rotate(state_[1] * 5, 7) * 9;
  const uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = rotate(state_[3], 45);
  return static_cast<double>(result >> 11) * 0x1p-53;
}

// A positive score is divided by the repeat penalty, a negative one multiplied (Keskar et al. 2019).
float Sampler::penalised(float score, int32_t token) const {
  score = score > 0 ? score / options_.repeat_penalty : score * options_.repeat_penalty;
  return score - (options_.presence_penalty +
                  options_.frequency_penalty * static_cast<float>(recent_.occurrences(token)));
}

// The scores with bias and penalties; the model's own where there are none.
std::span<const float> Sampler::adjusted(std::span<const float> logits) {
  if (scores_.empty()) return logits;
  std::copy(logits.begin(), logits.end(), scores_.begin());
  for (const auto& [token, bias] : options_.logit_bias) {
    if (token.value >= 0 && static_cast<uint32_t>(token.value) < vocabulary_)
      scores_[static_cast<size_t>(token.value)] += bias;
  }
  for (const SamplerStep step : front_) {
    if (step == SamplerStep::penalties) {
      for (const int32_t token : recent_.distinct())
        scores_[static_cast<size_t>(token)] = penalised(scores_[static_cast<size_t>(token)], token);
    } else {
      for (const auto& [token, amount] : dry_.penalties()) scores_[static_cast<size_t>(token)] -= amount;
    }
  }
  return scores_;
}

// Fills the candidates with the `count` best scores, or with all of them if there is room. One pass: whenever
// the room is used up it is cut back to `count`, and from then on only what beats the last of those comes in.
// Ids rise, so an equal that comes later is the worse one.
void Sampler::gather(std::span<const float> scores, size_t count, bool filtered) {
  float least = none;
  candidates_.clear();
  for (size_t i = next_above(scores, 0, least); i < scores.size(); i = next_above(scores, i + 1, least)) {
    if (!(scores[i] > least) || (filtered && !allowed(i))) continue;  // also what is not a number
    candidates_.push_back({scores[i], static_cast<int32_t>(i), 0});
    if (candidates_.size() < room_ || room_ == vocabulary_) continue;
    sampling::keep_best(candidates_, count);
    least = candidates_.back().score;
  }
  if (count < vocabulary_ && !candidates_.empty()) sampling::keep_best(candidates_, count);
}

TokenId Sampler::greedy(std::span<const float> scores, bool filtered) const {
  float best = none;
  int32_t token = -1;
  for (size_t i = next_above(scores, 0, best); i < scores.size(); i = next_above(scores, i + 1, best)) {
    if (!(scores[i] > best) || (filtered && !allowed(i))) continue;
    best = scores[i];
    token = static_cast<int32_t>(i);
  }
  return {token};
}

TokenId Sampler::draw() {
  double left = uniform() * sampling::total_weight(candidates_);
  const Candidate* chosen = &candidates_.front();
  for (const Candidate& c : candidates_) {
    if (c.weight == 0) continue;
    chosen = &c;  // the last one stays where rounding leaves a rest
    left -= c.weight;
    if (left < 0) break;
  }
  return {chosen->token};
}

TokenId Sampler::draw_mirostat() {
  sampling::weigh(candidates_, options_.uses(SamplerStep::temperature) ? options_.temperature : 1);
  if (options_.mirostat == 1) {
    sampling::keep_mirostat_1(candidates_, mu_, vocabulary_);
  } else {
    sampling::keep_mirostat_2(candidates_, mu_);
  }
  const TokenId chosen = draw();
  const auto of_chosen = std::find_if(candidates_.begin(), candidates_.end(),
                                      [chosen](const Candidate& c) { return c.token == chosen.value; });
  const double surprise = -std::log2(of_chosen->weight / sampling::total_weight(candidates_));
  mu_ -= static_cast<double>(options_.mirostat_eta) * (surprise - static_cast<double>(options_.mirostat_tau));
  return chosen;
}

TokenId Sampler::choose(std::span<const float> logits, const TokenFilter* filter) {
  if (logits.size() != vocabulary_) {
    throw Error(Code::bug, fmt::format("{} scores for a vocabulary of {}", logits.size(), vocabulary_),
                "please report it");
  }
  const std::span<const float> scores = adjusted(logits);
  const bool filtered = filter != nullptr;
  if (filtered) {
    std::fill(allowed_.begin(), allowed_.end(), ~uint64_t{0});
    filter->mask(allowed_);
  }
  if (greedy_) {
    const TokenId best = greedy(scores, filtered);
    if (best.value < 0) nothing_to_choose(logits, filtered);
    return best;
  }
  const bool best_only = !steps_.empty() && steps_.front() == SamplerStep::top_k;
  gather(scores, best_only ? static_cast<size_t>(options_.top_k) : vocabulary_, filtered);
  if (candidates_.empty()) nothing_to_choose(logits, filtered);
  sampling::settle_infinities(candidates_);
  if (options_.mirostat != 0) return draw_mirostat();
  cut(scores);
  return draw();
}

void Sampler::cut(std::span<const float> scores) {
  weighed_ = false;
  sharpened_ = 1;
  for (size_t i = 0; i < steps_.size(); ++i) {
    // The last step's temperature needs no scores of its own.
    if (steps_[i] == SamplerStep::temperature && i + 1 == steps_.size())
      return sampling::weigh(candidates_, options_.temperature);
    apply(steps_[i], scores);
  }
  weigh();
}

void Sampler::apply(SamplerStep step, std::span<const float> scores) {
  const SamplingOptions& o = options_;
  switch (step) {
    case SamplerStep::penalties: return penalise_candidates();
    case SamplerStep::dry: return dry_candidates();
    case SamplerStep::temperature: return heat_candidates();
    case SamplerStep::top_k: return sampling::keep_best(candidates_, static_cast<size_t>(o.top_k));
    case SamplerStep::top_n_sigma:
      return sampling::keep_n_sigma(candidates_, o.top_n_sigma, sampling::spread_of(scores) / sharpened_);
    default: break;
  }
  weigh();
  if (step == SamplerStep::typical_p) {
    sampling::keep_typical(candidates_, static_cast<double>(o.typical_p));
  } else if (step == SamplerStep::top_p) {
    sampling::keep_top_p(candidates_, static_cast<double>(o.top_p));
  } else if (step == SamplerStep::min_p) {
    sampling::keep_min_p(candidates_, static_cast<double>(o.min_p));
  } else if (uniform() < static_cast<double>(o.xtc_probability)) {
    sampling::drop_obvious(candidates_, static_cast<double>(o.xtc_threshold));
  }
}

void Sampler::weigh() {
  if (!std::exchange(weighed_, true)) sampling::weigh(candidates_, 1);
}

void Sampler::penalise_candidates() {
  for (Candidate& c : candidates_) {
    if (recent_.occurrences(c.token) > 0) c.score = penalised(c.score, c.token);
  }
  weighed_ = false;
}

void Sampler::dry_candidates() {
  const auto penalties = dry_.penalties();
  for (const auto& [token, amount] : penalties) amounts_[static_cast<size_t>(token)] = amount;
  for (Candidate& c : candidates_) c.score -= amounts_[static_cast<size_t>(c.token)];
  for (const auto& [token, amount] : penalties) amounts_[static_cast<size_t>(token)] = 0;
  weighed_ = false;
}

// The best score stays what it is: a tiny temperature would make infinities of the scores themselves.
void Sampler::heat_candidates() {
  float best = none;
  for (const Candidate& c : candidates_) best = std::max(best, c.score);
  for (Candidate& c : candidates_) c.score = best + (c.score - best) / options_.temperature;
  sharpened_ *= options_.temperature;
  weighed_ = false;
}

}  // namespace hearth
