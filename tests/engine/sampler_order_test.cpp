// The order of a sampler's steps, against steps that are done one after the other on a list of probabilities.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <string>

#include "base/error.h"
#include "engine/sampler.h"

namespace hearth {
namespace {

using Step = SamplerStep;

struct Entry {
  int32_t token;
  double score, p;
};
using Entries = std::vector<Entry>;

void normalise(Entries& entries) {
  double best = -1e300, sum = 0;
  for (const Entry& e : entries) best = std::max(best, e.score);
  for (Entry& e : entries) sum += e.p = std::exp(e.score - best);
  for (Entry& e : entries) e.p /= sum;
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.score > b.score; });
}

void keep_share(Entries& entries, double share, bool& close) {
  double sum = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    sum += entries[i].p;
    close = close || std::fabs(sum - share) < 1e-4;
    if (sum >= share) return entries.resize(i + 1);
  }
}

// Steps that draw no number; `history` holds each token once.
void apply(Step step, const SamplingOptions& o, const std::vector<int32_t>& history, Entries& entries,
           bool& close) {
  normalise(entries);
  if (step == Step::temperature) {
    for (Entry& e : entries) e.score /= static_cast<double>(o.temperature);
  } else if (step == Step::penalties) {
    for (Entry& e : entries) {
      if (std::find(history.begin(), history.end(), e.token) != history.end())
        e.score -= static_cast<double>(o.presence_penalty);
    }
  } else if (step == Step::top_k) {
    if (entries.size() > static_cast<size_t>(o.top_k)) entries.resize(static_cast<size_t>(o.top_k));
  } else if (step == Step::top_p) {
    keep_share(entries, static_cast<double>(o.top_p), close);
  } else if (step == Step::min_p) {
    const double least = static_cast<double>(o.min_p) * entries.front().p;
    for (const Entry& e : entries) close = close || std::fabs(e.p - least) < 1e-3 * least;
    std::erase_if(entries, [least](const Entry& e) { return e.p < least; });
  } else if (step == Step::typical_p) {
    double entropy = 0;
    for (const Entry& e : entries) entropy -= e.p * std::log(e.p);
    std::stable_sort(entries.begin(), entries.end(), [&](const Entry& a, const Entry& b) {
      return std::fabs(-std::log(a.p) - entropy) < std::fabs(-std::log(b.p) - entropy);
    });
    keep_share(entries, static_cast<double>(o.typical_p), close);
  }
}

SamplingOptions options(uint64_t seed) {
  SamplingOptions o;
  o.seed = seed;
  o.temperature = 1.7F;
  o.top_k = 9;
  o.top_p = 0.8F;
  o.min_p = 0.08F;
  o.typical_p = 0.9F;
  o.presence_penalty = 1.5F;
  o.repeat_last_n = -1;
  return o;
}

std::map<int32_t, int> drawn(const SamplingOptions& o, const std::vector<float>& logits,
                             const std::vector<int32_t>& history, int times) {
  Sampler sampler(o, static_cast<uint32_t>(logits.size()));
  for (const int32_t t : history) sampler.accept({t});
  std::map<int32_t, int> counts;
  for (int i = 0; i < times; ++i) ++counts[sampler.choose(logits, nullptr).value];
  return counts;
}

std::vector<float> random_logits(std::mt19937& random, uint32_t count) {
  std::normal_distribution<float> normal(0, 2);
  std::vector<float> logits(count);
  for (float& x : logits) x = normal(random);
  return logits;
}

TEST(SamplerOrder, EveryOrderDrawsWhatItsStepsLeave) {
  std::mt19937 random(11);
  std::vector<Step> order{Step::penalties, Step::top_k, Step::typical_p,
                          Step::top_p,     Step::min_p, Step::temperature};
  int compared = 0;
  for (int round = 0; round < 120; ++round) {
    std::shuffle(order.begin(), order.end(), random);
    SamplingOptions o = options(random());
    o.order = std::vector<Step>(order.begin(), order.begin() + 1 + round % 6);
    const auto logits = random_logits(random, 400);
    std::vector<int32_t> history;
    for (int32_t t = 0; t < 400; t += 3) history.push_back(t);
    Entries entries;
    for (size_t i = 0; i < logits.size(); ++i)
      entries.push_back({static_cast<int32_t>(i), static_cast<double>(logits[i]), 0});
    bool close = false;
    for (const Step step : *o.order) apply(step, o, history, entries, close);
    normalise(entries);
    if (close) continue;
    ++compared;
    constexpr int times = 3000;
    const auto counts = drawn(o, logits, history, times);
    double chi = 0, terms = 0;
    for (const Entry& e : entries) {
      const double wanted = times * e.p;
      if (wanted < 5) continue;
      const auto at = counts.find(e.token);
      chi += std::pow((at != counts.end() ? at->second : 0) - wanted, 2) / wanted;
      terms += 1;
    }
    for (const auto& [token, count] : counts) {
      ASSERT_TRUE(std::any_of(entries.begin(), entries.end(),
                              [token = token](const Entry& e) { return e.token == token; }))
          << "round " << round << " drew " << token;
    }
    EXPECT_LT(chi, terms + 6 * std::sqrt(2 * terms) + 12) << "round " << round;
  }
  EXPECT_GT(compared, 90);
}

TEST(SamplerOrder, TheDefaultWrittenOutIsTheDefault) {
  std::mt19937 random(5);
  for (int round = 0; round < 50; ++round) {
    SamplingOptions o = options(random());
    o.repeat_penalty = 1.2F;
    o.top_n_sigma = round % 2 == 0 ? 2.0F : -1.0F;
    o.xtc_probability = 0.5F;
    o.dry_multiplier = round % 3 == 0 ? 0.8F : 0.0F;
    const auto logits = random_logits(random, 300);
    std::vector<int32_t> history;
    for (int i = 0; i < 60; ++i) history.push_back(static_cast<int32_t>(random() % 8));
    const auto without = drawn(o, logits, history, 200);
    o.order = {Step::penalties, Step::dry,   Step::top_k, Step::top_n_sigma, Step::typical_p,
               Step::top_p,     Step::min_p, Step::xtc,   Step::temperature};
    EXPECT_EQ(drawn(o, logits, history, 200), without) << "round " << round;
  }
}

TEST(SamplerOrder, WhatIsNotNamedIsLeftOut) {
  std::mt19937 random(6);
  const auto logits = random_logits(random, 100);
  SamplingOptions o = options(1);
  o.top_k = 1;
  o.order = {Step::top_p};
  EXPECT_GT(drawn(o, logits, {}, 300).size(), 1U) << "no top-k";
  o.order = std::vector<Step>{};
  EXPECT_GT(drawn(o, logits, {}, 3000).size(), 15U) << "no cut at all";
  o.temperature = 0;
  EXPECT_GT(drawn(o, logits, {}, 300).size(), 1U) << "no temperature";
  o.order = {Step::temperature};
  EXPECT_EQ(drawn(o, logits, {}, 300).size(), 1U);
}

TEST(SamplerOrder, DrySeesCandidatesToo) {
  std::vector<float> logits(50, 0.0F);
  logits[4] = 8;
  logits[5] = 6;
  SamplingOptions o = options(1);
  o.temperature = 1;
  o.top_k = 2;
  o.dry_multiplier = 20;
  o.dry_allowed_length = 1;
  o.order = {Step::top_k, Step::dry};
  EXPECT_EQ(drawn(o, logits, {3, 4, 3}, 100), (std::map<int32_t, int>{{5, 100}}));
}

TEST(SamplerOrder, NamesAndTheirOtherSpellings) {
  EXPECT_EQ(sampler_step("typ_p"), Step::typical_p);
  EXPECT_EQ(sampler_step("temp"), Step::temperature);
  EXPECT_EQ(sampler_step("penalties"), Step::penalties);
  EXPECT_EQ(sampler_step("no_such_step"), std::nullopt);
  const std::string names(sampler_step_names());
  size_t count = 0;
  for (size_t at = 0; at < names.size(); ++count) {
    const size_t end = std::min(names.find(", ", at), names.size());
    EXPECT_TRUE(sampler_step(names.substr(at, end - at)).has_value()) << names;
    at = end + 2;
  }
  EXPECT_EQ(count, 9U);
}

}  // namespace
}  // namespace hearth
