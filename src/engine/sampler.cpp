#include "engine/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "base/error.h"

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

double log_sum(std::span<const float> logits) {
  const double best = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x) - best);
  return best + std::log(sum);
}

}  // namespace

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
  require(o.mirostat >= 0 && o.mirostat <= 2, "mirostat", o.mirostat, "0, 1 or 2");
  require(o.mirostat_tau >= 0 && std::isfinite(o.mirostat_tau), "mirostat_tau", o.mirostat_tau, "0 or more");
  require(o.mirostat_eta >= 0 && std::isfinite(o.mirostat_eta), "mirostat_eta", o.mirostat_eta, "0 or more");
}

Sampler::Sampler(SamplingOptions options, uint32_t vocabulary)
    : options_(std::move(options)), vocabulary_(vocabulary) {
  validate(options_);
  mu_ = 2 * options_.mirostat_tau;
  scores_.resize(vocabulary);
  allowed_.resize((vocabulary + 63) / 64);
  candidates_.reserve(vocabulary);
  counts_.resize(vocabulary);
  seen_.reserve(options_.repeat_last_n > 0
                    ? std::min<size_t>(vocabulary, static_cast<size_t>(options_.repeat_last_n) + 1)
                    : vocabulary);
  if (options_.repeat_last_n > 0) window_.reserve(static_cast<size_t>(options_.repeat_last_n));
  reseed(options_.seed ? *options_.seed : (uint64_t{std::random_device{}()} << 32) | std::random_device{}());
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

void Sampler::accept(TokenId token) {
  if (options_.repeat_last_n == 0 || token.value < 0 || static_cast<uint32_t>(token.value) >= vocabulary_)
    return;
  if (options_.repeat_last_n > 0 && window_.size() == static_cast<size_t>(options_.repeat_last_n)) {
    const TokenId old = window_[window_at_];
    if (--counts_[static_cast<size_t>(old.value)] == 0) std::erase(seen_, old.value);
    window_[window_at_] = token;
    window_at_ = (window_at_ + 1) % window_.size();
  } else if (options_.repeat_last_n > 0) {
    window_.push_back(token);
  }
  if (counts_[static_cast<size_t>(token.value)]++ == 0) seen_.push_back(token.value);
}

// A positive score is divided by the repeat penalty, a negative one multiplied (Keskar et al. 2019).
void Sampler::penalise() {
  const SamplingOptions& o = options_;
  if (o.repeat_penalty == 1.0F && o.presence_penalty == 0.0F && o.frequency_penalty == 0.0F) return;
  for (const int32_t token : seen_) {
    float& score = scores_[static_cast<size_t>(token)];
    score = score > 0 ? score / o.repeat_penalty : score * o.repeat_penalty;
    score -=
        o.presence_penalty + o.frequency_penalty * static_cast<float>(counts_[static_cast<size_t>(token)]);
  }
}

void Sampler::gather(std::span<const float> logits, const TokenFilter* filter) {
  std::copy(logits.begin(), logits.end(), scores_.begin());
  for (const auto& [token, bias] : options_.logit_bias) {
    if (token.value >= 0 && static_cast<uint32_t>(token.value) < vocabulary_)
      scores_[static_cast<size_t>(token.value)] += bias;
  }
  penalise();
  candidates_.clear();
  if (filter == nullptr) {
    for (uint32_t i = 0; i < vocabulary_; ++i) {
      if (scores_[i] > none)
        candidates_.push_back({scores_[i], static_cast<int32_t>(i), 0});  // false for NaN
    }
  } else {
    std::fill(allowed_.begin(), allowed_.end(), ~uint64_t{0});
    filter->mask(allowed_);
    for (uint32_t i = 0; i < vocabulary_; ++i) {
      const bool allowed = ((allowed_[i / 64] >> (i % 64)) & 1U) != 0;
      if (allowed && scores_[i] > none) candidates_.push_back({scores_[i], static_cast<int32_t>(i), 0});
    }
  }
  if (!candidates_.empty()) return;
  if (filter != nullptr && std::any_of(logits.begin(), logits.end(), [](float x) { return x > none; })) {
    throw Error(Code::bad_request, "the output format allows no further token",
                "check the grammar or schema");
  }
  throw Error(Code::device_lost, "the model's scores are not numbers",
              "the model file may be damaged: verify it, or try HEARTH_CPU=portable");
}

// The best `count` candidates in order: score first, then the lower id.
void Sampler::keep_best(size_t count) {
  const auto better = [](const Candidate& a, const Candidate& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
  };
  if (count < candidates_.size()) {
    std::nth_element(candidates_.begin(), candidates_.begin() + static_cast<ptrdiff_t>(count),
                     candidates_.end(), better);
    candidates_.resize(count);
  }
  std::sort(candidates_.begin(), candidates_.end(), better);
}

void Sampler::softmax() {
  const float best = candidates_.front().logit;
  if (best == std::numeric_limits<float>::infinity()) {
    for (Candidate& c : candidates_) c.p = c.logit == best ? 1.0F : 0.0F;
  } else {
    for (Candidate& c : candidates_) c.p = std::exp(c.logit - best);
  }
  double sum = 0;  // of a whole vocabulary: floats would lose the tail
  for (const Candidate& c : candidates_) sum += static_cast<double>(c.p);
  for (Candidate& c : candidates_) c.p = static_cast<float>(static_cast<double>(c.p) / sum);
}

// Scores relative to the best, so that the smallest temperature cannot overflow them. Candidates are in
// order.
void Sampler::heat() {
  const float best = candidates_.front().logit;
  if (best == std::numeric_limits<float>::infinity()) return;
  for (Candidate& c : candidates_) c.logit = (c.logit - best) / options_.temperature;
}

// Locally typical sampling (Meister et al. 2022): keeps the tokens whose surprise is nearest to the entropy.
void Sampler::cut_typical() {
  softmax();
  double exact = 0;
  for (const Candidate& c : candidates_) exact -= c.p > 0 ? static_cast<double>(c.p * std::log(c.p)) : 0.0;
  const auto entropy = static_cast<float>(exact);
  const auto oddness = [entropy](const Candidate& c) { return std::fabs(-std::log(c.p) - entropy); };
  std::sort(candidates_.begin(), candidates_.end(), [&](const Candidate& a, const Candidate& b) {
    const float x = oddness(a), y = oddness(b);
    return x < y || (x == y && a.token < b.token);
  });
  double sum = 0;
  size_t keep = 0;
  while (keep < candidates_.size() && (keep == 0 || sum < static_cast<double>(options_.typical_p)))
    sum += static_cast<double>(candidates_[keep++].p);
  candidates_.resize(keep);
  keep_best(keep);
}

void Sampler::cut_top_p() {
  softmax();
  double sum = 0;
  size_t keep = 0;
  while (keep < candidates_.size() && (keep == 0 || sum < static_cast<double>(options_.top_p)))
    sum += static_cast<double>(candidates_[keep++].p);
  candidates_.resize(keep);
}

void Sampler::cut_min_p() {
  softmax();
  const float least = options_.min_p * candidates_.front().p;
  size_t keep = 1;
  while (keep < candidates_.size() && candidates_[keep].p >= least) ++keep;
  candidates_.resize(keep);
}

TokenId Sampler::greedy() const {
  const auto best =
      std::max_element(candidates_.begin(), candidates_.end(), [](const Candidate& a, const Candidate& b) {
        return a.logit < b.logit || (a.logit == b.logit && a.token > b.token);
      });
  return {best->token};
}

TokenId Sampler::draw() {
  softmax();
  double left = uniform();
  for (const Candidate& c : candidates_) {
    left -= static_cast<double>(c.p);
    if (left < 0) return {c.token};
  }
  return {candidates_.front().token};  // rounding: the sum fell short of 1
}

// Mirostat (Basu et al. 2021): keeps the surprise near tau. Version 1 estimates the tail's exponent and
// derives a top-k from it; version 2 cuts by surprise directly.
TokenId Sampler::draw_mirostat() {
  softmax();
  if (options_.mirostat == 1) {
    constexpr size_t looked_at = 100;
    double above = 0, below = 0;
    for (size_t i = 0; i + 1 < std::min(looked_at, candidates_.size()); ++i) {
      const double t = std::log(static_cast<double>(i + 2) / static_cast<double>(i + 1));
      const double b =
          std::log(static_cast<double>(candidates_[i].p) / static_cast<double>(candidates_[i + 1].p));
      if (!std::isfinite(b)) break;
      above += t * b;
      below += t * t;
    }
    const double s = below > 0 ? above / below : 1;
    const double epsilon = s - 1;
    const double n = vocabulary_;
    const double k =
        std::pow(epsilon * std::exp2(static_cast<double>(mu_)) / (1 - std::pow(n, -epsilon)), 1 / s);
    if (std::isfinite(k))
      candidates_.resize(static_cast<size_t>(std::clamp(k, 1.0, static_cast<double>(candidates_.size()))));
  } else {
    size_t keep = 1;
    while (keep < candidates_.size() && -std::log2(candidates_[keep].p) <= mu_) ++keep;
    candidates_.resize(keep);
  }
  const TokenId chosen = draw();
  for (const Candidate& c : candidates_) {
    if (c.token == chosen.value) mu_ -= options_.mirostat_eta * (-std::log2(c.p) - options_.mirostat_tau);
  }
  return chosen;
}

TokenId Sampler::choose(std::span<const float> logits, const TokenFilter* filter) {
  gather(logits, filter);
  if (options_.temperature == 0) return greedy();
  if (options_.mirostat != 0) {
    keep_best(candidates_.size());
    heat();
    return draw_mirostat();
  }
  keep_best(options_.top_k > 0 ? static_cast<size_t>(options_.top_k) : candidates_.size());
  if (options_.typical_p < 1) cut_typical();
  if (options_.top_p < 1) cut_top_p();
  if (options_.min_p > 0) cut_min_p();
  heat();
  return draw();
}

double log_probability(std::span<const float> logits, TokenId token) {
  return static_cast<double>(logits[static_cast<size_t>(token.value)]) - log_sum(logits);
}

std::vector<TokenId> likeliest(std::span<const float> logits, size_t count) {
  std::vector<TokenId> ids(logits.size());
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = {static_cast<int32_t>(i)};
  count = std::min(count, ids.size());
  std::partial_sort(
      ids.begin(), ids.begin() + static_cast<ptrdiff_t>(count), ids.end(), [&](TokenId a, TokenId b) {
        const float x = logits[static_cast<size_t>(a.value)], y = logits[static_cast<size_t>(b.value)];
        return x > y || (x == y && a < b);
      });
  ids.resize(count);
  return ids;
}

}  // namespace hearth
