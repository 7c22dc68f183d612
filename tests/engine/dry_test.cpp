// Repetitions that are penalised by their length, against a search that tries every place and every length.
#include "engine/dry.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>
#include <set>
#include <string>

#include "engine/sampler.h"

namespace hearth {
namespace {

std::shared_ptr<const TokenSet> breakers(const std::set<int32_t>& tokens) {
  auto set = std::make_shared<TokenSet>(2);
  for (const int32_t t : tokens) (*set)[static_cast<size_t>(t) / 64] |= uint64_t{1} << (t % 64);
  return set;
}

// Every place where the last token stood before, and from there backwards as long as it is alike.
std::map<int32_t, double> naive(const SamplingOptions& o, std::vector<int32_t> text,
                                const std::set<int32_t>& broken) {
  if (o.dry_penalty_last_n > 0 && text.size() > static_cast<size_t>(o.dry_penalty_last_n))
    text.erase(text.begin(), text.end() - o.dry_penalty_last_n);
  std::map<int32_t, double> penalties;
  for (size_t at = 0; at + 1 < text.size(); ++at) {
    size_t length = 0;
    while (length <= at && text[at - length] == text[text.size() - 1 - length] &&
           !broken.contains(text[at - length]))
      ++length;
    const int32_t next = text[at + 1];
    if (length == 0 || static_cast<int32_t>(length) < o.dry_allowed_length || broken.contains(next)) continue;
    const double amount =
        static_cast<double>(o.dry_multiplier) *
        std::pow(static_cast<double>(o.dry_base), static_cast<double>(length) - o.dry_allowed_length);
    penalties[next] = std::max(penalties[next], amount);
  }
  return penalties;
}

std::map<int32_t, double> found(sampling::Dry& dry) {
  std::map<int32_t, double> penalties;
  for (const auto& [token, amount] : dry.penalties()) {
    EXPECT_FALSE(penalties.contains(token)) << "told twice";
    penalties[token] = static_cast<double>(amount);
  }
  return penalties;
}

void expect_near(const std::map<int32_t, double>& a, const std::map<int32_t, double>& b,
                 const std::string& where) {
  ASSERT_EQ(a.size(), b.size()) << where;
  for (const auto& [token, amount] : a) {
    ASSERT_TRUE(b.contains(token)) << where;
    EXPECT_NEAR(amount, b.at(token), 1e-5 * b.at(token)) << where;
  }
}

TEST(Dry, FindsWhatANaiveSearchFinds) {
  std::mt19937 random(7);
  size_t penalised = 0;
  for (int round = 0; round < 300; ++round) {
    SamplingOptions o;
    o.dry_multiplier = 0.8F;
    o.dry_base = round % 3 == 0 ? 1.0F : 1.4F;
    o.dry_allowed_length = static_cast<int32_t>(random() % 4);
    o.dry_penalty_last_n = round % 2 == 0 ? -1 : static_cast<int32_t>(2 + random() % 30);
    std::set<int32_t> broken;
    if (round % 5 != 0) broken.insert(static_cast<int32_t>(random() % 4));
    o.dry_breakers = breakers(broken);
    const auto letters = 2 + random() % 5;
    sampling::Dry dry(o, 100);
    std::vector<int32_t> text;
    for (int i = 0; i < 70; ++i) {
      text.push_back(static_cast<int32_t>(random() % letters));
      dry.add({text.back()});
      const auto expected = naive(o, text, broken);
      penalised += expected.size();
      expect_near(found(dry), expected, "round " + std::to_string(round) + " token " + std::to_string(i));
    }
  }
  EXPECT_GT(penalised, 10000U);
}

TEST(Dry, TheFormulaByHand) {
  SamplingOptions o;
  o.dry_multiplier = 2;
  o.dry_base = 3;
  o.dry_allowed_length = 2;
  sampling::Dry dry(o, 100);
  // 5 6 7 8 … 5 6 7: three are repeated, 8 would be the fourth: 2 · 3^(3 − 2).
  for (const int32_t t : {5, 6, 7, 8, 9, 5, 6, 7}) dry.add({t});
  EXPECT_EQ(found(dry), (std::map<int32_t, double>{{8, 6}}));
  dry.add({1});
  EXPECT_TRUE(found(dry).empty());
}

TEST(Dry, ALongRepetitionStaysANumber) {
  SamplingOptions o;
  o.dry_multiplier = 1;
  o.dry_base = 10;
  sampling::Dry dry(o, 100);
  for (int i = 0; i < 500; ++i) dry.add({3});
  const auto penalties = found(dry);
  ASSERT_EQ(penalties.size(), 1U);
  EXPECT_TRUE(std::isfinite(penalties.at(3)));
  EXPECT_GT(penalties.at(3), 1e20);
}

TEST(Dry, WhatIsOutsideOfTheVocabularyRepeatsNothing) {
  SamplingOptions o;
  o.dry_multiplier = 1;
  o.dry_allowed_length = 1;
  sampling::Dry dry(o, 10);
  for (const int32_t t : {1, 500, 2, 1, 500}) dry.add({t});
  EXPECT_TRUE(found(dry).empty());
}

SamplingOptions repeating() {
  SamplingOptions o;
  o.temperature = 0;
  o.dry_multiplier = 5;
  o.dry_allowed_length = 1;
  return o;
}

TEST(Dry, ASamplerBreaksALoop) {
  std::vector<float> logits(20, 0.0F);
  logits[4] = 3;
  logits[5] = 1;
  const auto choose = [&](const SamplingOptions& o) {
    Sampler sampler(o, 20);
    for (const int32_t t : {3, 4, 3}) sampler.accept({t});
    return sampler.choose(logits, nullptr).value;
  };
  EXPECT_EQ(choose(repeating()), 5);
  SamplingOptions off = repeating();
  off.dry_multiplier = 0;
  EXPECT_EQ(choose(off), 4);
  SamplingOptions nothing_seen = repeating();
  nothing_seen.dry_penalty_last_n = 0;
  EXPECT_EQ(choose(nothing_seen), 4);
  SamplingOptions broken = repeating();
  broken.dry_breakers = breakers({3});
  EXPECT_EQ(choose(broken), 4);
}

}  // namespace
}  // namespace hearth
