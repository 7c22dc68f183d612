#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include "base/error.h"

namespace hearth {
namespace {

SamplingOptions plain() {
  SamplingOptions o;
  o.temperature = 1;
  o.top_k = 0;
  o.top_p = 1;
  o.seed = 1;
  return o;
}

std::vector<double> softmax(const std::vector<float>& logits, double temperature = 1) {
  const double best = *std::max_element(logits.begin(), logits.end());
  std::vector<double> p;
  for (const float x : logits) p.push_back(std::exp((static_cast<double>(x) - best) / temperature));
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& x : p) x /= sum;
  return p;
}

std::vector<float> random_logits(uint32_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 2);
  std::vector<float> logits(count);
  for (float& x : logits) x = normal(random);
  return logits;
}

std::set<int32_t> drawn(const SamplingOptions& options, const std::vector<float>& logits, int times) {
  Sampler sampler(options, static_cast<uint32_t>(logits.size()));
  std::set<int32_t> seen;
  for (int i = 0; i < times; ++i) seen.insert(sampler.choose(logits, nullptr).value);
  return seen;
}

// Token numbers by falling probability.
std::vector<int32_t> ranking(const std::vector<float>& logits) {
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)];
  });
  return order;
}

TEST(Sampler, DrawsFollowTheProbabilities) {
  const std::vector<float> logits{1, 0, 2, -1, 0.5F};
  for (const float temperature : {0.5F, 1.0F, 2.0F}) {
    SamplingOptions o = plain();
    o.temperature = temperature;
    Sampler sampler(o, 5);
    constexpr int times = 20000;
    std::vector<int> counts(5);
    for (int i = 0; i < times; ++i) ++counts[static_cast<size_t>(sampler.choose(logits, nullptr).value)];
    const auto p = softmax(logits, static_cast<double>(temperature));
    double chi = 0;
    for (size_t i = 0; i < 5; ++i) chi += std::pow(counts[i] - times * p[i], 2) / (times * p[i]);
    EXPECT_LT(chi, 18.5) << temperature;  // 4 degrees of freedom: exceeded once in a thousand
  }
}

TEST(Sampler, GreedyTakesTheBestAndTheLowestOfEquals) {
  SamplingOptions o = plain();
  o.temperature = 0;
  Sampler sampler(o, 4);
  EXPECT_EQ(sampler.choose(std::vector<float>{1, 3, 3, 2}, nullptr).value, 1);
  EXPECT_EQ(sampler.choose(std::vector<float>{NAN, -5, NAN, -6}, nullptr).value, 1);
  EXPECT_EQ(sampler.choose(std::vector<float>{0, INFINITY, 0, 0}, nullptr).value, 1);
}

// Scores are passed sixteen at a time where none is of interest: lengths around that, and what is no number.
TEST(Sampler, NoScoreIsPassedOver) {
  std::mt19937 random(5);
  SamplingOptions greedy = plain(), some = plain();
  greedy.temperature = 0;
  some.top_k = 3;
  for (uint32_t length = 1; length <= 70; ++length) {
    std::vector<float> logits = random_logits(length, length);
    for (uint32_t i = 0; i < length / 4; ++i) logits[random() % length] = i % 2 == 0 ? NAN : -INFINITY;
    const auto at = static_cast<int32_t>(random() % length);
    logits[static_cast<size_t>(at)] = 100;
    EXPECT_EQ(Sampler(greedy, length).choose(logits, nullptr).value, at) << length;
    EXPECT_EQ(Sampler(some, length).choose(logits, nullptr).value, at) << length;  // all but certain
  }
  // More than there is room for before the candidates are cut back.
  std::vector<float> rising(3000);
  std::iota(rising.begin(), rising.end(), 0.0F);
  some.temperature = 1e6F;
  EXPECT_EQ(drawn(some, rising, 300), (std::set<int32_t>{2997, 2998, 2999}));
}

TEST(Sampler, TopKKeepsTheBest) {
  const auto logits = random_logits(200, 3);
  const auto order = ranking(logits);
  SamplingOptions o = plain();
  o.temperature = 5;
  o.top_k = 7;
  const auto seen = drawn(o, logits, 3000);
  EXPECT_EQ(seen, std::set<int32_t>(order.begin(), order.begin() + 7));
}

TEST(Sampler, TopPKeepsTheSmallestSetThatReachesP) {
  const auto logits = random_logits(50, 4);
  const auto order = ranking(logits);
  const auto p = softmax(logits);
  std::set<int32_t> allowed;
  double sum = 0;
  for (const int32_t t : order) {
    if (sum >= 0.7) break;
    allowed.insert(t);
    sum += p[static_cast<size_t>(t)];
  }
  SamplingOptions o = plain();
  o.top_p = 0.7F;
  o.temperature = 3;
  EXPECT_EQ(drawn(o, logits, 5000), allowed);
}

TEST(Sampler, MinPCutsRelativeToTheBest) {
  const auto logits = random_logits(50, 5);
  const auto p = softmax(logits);
  const double best = *std::max_element(p.begin(), p.end());
  std::set<int32_t> allowed;
  for (size_t i = 0; i < p.size(); ++i) {
    if (p[i] >= 0.1 * best) allowed.insert(static_cast<int32_t>(i));
  }
  SamplingOptions o = plain();
  o.min_p = 0.1F;
  o.temperature = 3;
  EXPECT_EQ(drawn(o, logits, 5000), allowed);
}

TEST(Sampler, TypicalPKeepsWhatIsNearestToTheEntropy) {
  const auto logits = random_logits(30, 6);
  const auto p = softmax(logits);
  double entropy = 0;
  for (const double x : p) entropy -= x * std::log(x);
  std::vector<int32_t> order(p.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return std::fabs(-std::log(p[static_cast<size_t>(a)]) - entropy) <
           std::fabs(-std::log(p[static_cast<size_t>(b)]) - entropy);
  });
  std::set<int32_t> allowed;
  double sum = 0;
  for (const int32_t t : order) {
    if (sum >= 0.5) break;
    allowed.insert(t);
    sum += p[static_cast<size_t>(t)];
  }
  SamplingOptions o = plain();
  o.typical_p = 0.5F;
  o.temperature = 3;
  EXPECT_EQ(drawn(o, logits, 5000), allowed);
}

TEST(Sampler, TopNSigmaCutsByTheSpreadOfAllScores) {
  const std::vector<float> logits = random_logits(400, 5);
  double sum = 0, squares = 0;
  for (const float x : logits) sum += x, squares += static_cast<double>(x) * x;
  const double mean = sum / 400, sigma = std::sqrt(squares / 400 - mean * mean);
  const float best = *std::max_element(logits.begin(), logits.end());
  for (const float n : {0.25F, 0.5F, 1.0F}) {
    for (const int32_t top_k : {0, 40}) {
      SamplingOptions o = plain();
      o.top_n_sigma = n;
      o.top_k = top_k;
      for (const int32_t token : drawn(o, logits, 3000))
        EXPECT_GE(logits[static_cast<size_t>(token)], best - n * sigma - 1e-4) << n;
    }
  }
  SamplingOptions all = plain();
  all.temperature = 20;
  const size_t without = drawn(all, logits, 3000).size();
  all.top_n_sigma = 0.5F;
  EXPECT_LT(drawn(all, logits, 3000).size(), without / 4) << "whatever the temperature";
  // Scores of banned tokens are no numbers to reckon with.
  std::vector<float> banned = logits;
  banned[7] = -std::numeric_limits<float>::infinity();
  EXPECT_FALSE(drawn(all, banned, 100).empty());
}

TEST(Sampler, XtcDropsAllObviousTokensButTheLeastOfThem) {
  const std::vector<float> logits{std::log(0.5F), std::log(0.3F), std::log(0.15F), std::log(0.05F)};
  SamplingOptions o = plain();
  o.xtc_probability = 1;
  o.xtc_threshold = 0.1F;
  EXPECT_EQ(drawn(o, logits, 500), (std::set<int32_t>{2, 3}));
  o.xtc_threshold = 0.4F;
  EXPECT_EQ(drawn(o, logits, 500), (std::set<int32_t>{0, 1, 2, 3})) << "one obvious token is no choice";
  o.xtc_threshold = 0.1F;
  o.xtc_probability = 0.5F;
  Sampler sampler(o, 4);
  int first = 0;
  for (int i = 0; i < 4000; ++i) first += sampler.choose(logits, nullptr).value == 0 ? 1 : 0;
  EXPECT_NEAR(first / 4000.0, 0.25, 0.04) << "half of the times it is there, with its half";
}

TEST(Sampler, PenaltiesSeeTheirWindowOnly) {
  SamplingOptions o = plain();
  o.temperature = 0;
  o.repeat_last_n = 2;
  o.repeat_penalty = 2;
  Sampler sampler(o, 3);
  const std::vector<float> logits{4, 3, -1};
  sampler.accept({0});
  EXPECT_EQ(sampler.choose(logits, nullptr).value, 1);  // 4 / 2 < 3
  sampler.accept({2});
  sampler.accept({2});
  EXPECT_EQ(sampler.choose(logits, nullptr).value, 0);  // 0 has left the window
  SamplingOptions counted = plain();
  counted.temperature = 0;
  counted.repeat_last_n = -1;
  counted.frequency_penalty = 0.4F;
  counted.presence_penalty = 0.3F;
  Sampler all(counted, 3);
  all.accept({0});
  EXPECT_EQ(all.choose(logits, nullptr).value, 0);  // 4 − 0.3 − 0.4 > 3
  all.accept({0});
  EXPECT_EQ(all.choose(logits, nullptr).value, 1);  // 4 − 0.3 − 0.8 < 3
}

TEST(Sampler, BiasMovesAndBans) {
  SamplingOptions o = plain();
  o.temperature = 0;
  o.logit_bias = {{{0}, -std::numeric_limits<float>::infinity()}, {{2}, 10.0F}, {{77}, 1.0F}};
  Sampler sampler(o, 3);
  EXPECT_EQ(sampler.choose(std::vector<float>{9, 3, 1}, nullptr).value, 2);
  o.logit_bias.erase({2});
  Sampler banned(o, 3);
  EXPECT_EQ(banned.choose(std::vector<float>{9, 3, 1}, nullptr).value, 1);
}

class OnlyOdd final : public TokenFilter {
 public:
  void mask(std::span<uint64_t> allowed) const override {
    for (uint64_t& word : allowed) word &= 0xaaaaaaaaaaaaaaaaULL;
  }
  void accept(TokenId) override {}
};
class Nothing final : public TokenFilter {
 public:
  void mask(std::span<uint64_t> allowed) const override { std::fill(allowed.begin(), allowed.end(), 0); }
  void accept(TokenId) override {}
};

TEST(Sampler, AFilterIsNeverLeft) {
  const OnlyOdd odd;
  for (unsigned seed = 0; seed < 50; ++seed) {
    SamplingOptions o = plain();
    o.seed = seed;
    o.top_k = seed % 2 == 0 ? 5 : 0;
    o.mirostat = static_cast<int32_t>(seed % 3);
    Sampler sampler(o, 131);
    const auto logits = random_logits(131, seed);
    for (int i = 0; i < 20; ++i) EXPECT_EQ(sampler.choose(logits, &odd).value % 2, 1);
  }
  Sampler sampler(plain(), 10);
  const Nothing nothing;
  EXPECT_THROW(sampler.choose(std::vector<float>(10, 1.0F), &nothing), Error);
  EXPECT_THROW(sampler.choose(std::vector<float>(10, NAN), nullptr), Error);
  EXPECT_THROW(sampler.choose(std::vector<float>(10, -INFINITY), nullptr), Error);
  EXPECT_THROW(sampler.choose(std::vector<float>(11, 1.0F), nullptr), Error);
}

TEST(Sampler, MirostatKeepsTheSurpriseNearItsTarget) {
  for (const int version : {1, 2}) {
    for (const float tau : {2.0F, 4.0F}) {
      SamplingOptions o = plain();
      o.mirostat = version;
      o.mirostat_tau = tau;
      Sampler sampler(o, 2000);
      std::mt19937 random(8);
      double surprise = 0;
      constexpr int times = 600, settled = 200;
      for (int i = 0; i < times; ++i) {
        std::vector<float> logits(2000);
        for (size_t k = 0; k < logits.size(); ++k) logits[k] = -1.1F * std::log(static_cast<float>(k + 1));
        std::shuffle(logits.begin(), logits.end(), random);
        const TokenId t = sampler.choose(logits, nullptr);
        if (i >= settled) surprise -= log_probabilities(logits, t, 0).chosen / std::log(2.0);
      }
      // The surprise is measured on the uncut distribution, so it lies above what the cut one has.
      EXPECT_NEAR(surprise / (times - settled), static_cast<double>(tau), 1.6) << version << " " << tau;
    }
  }
}

TEST(Sampler, ASeedIsAPromise) {
  const auto logits = random_logits(300, 9);
  SamplingOptions o = plain();
  o.seed = 1234;
  std::vector<int32_t> tokens[2];
  for (auto& list : tokens) {
    Sampler sampler(o, 300);
    for (int i = 0; i < 50; ++i) list.push_back(sampler.choose(logits, nullptr).value);
  }
  EXPECT_EQ(tokens[0], tokens[1]);
  // xoshiro256** from splitmix64(1234): the first draws of a fair coin, the same on every machine.
  Sampler coin(o, 2);
  std::string flips;
  for (int i = 0; i < 24; ++i)
    flips += static_cast<char>('0' + coin.choose(std::vector<float>{0, 0}, nullptr).value);
  EXPECT_EQ(flips, "011101001110010111111000");
}

TEST(Sampler, OptionsOutOfRangeAreNamed) {
  const auto message = [](auto&& change) -> std::string {
    SamplingOptions o;
    change(o);
    try {
      validate(o);
    } catch (const Error& e) {
      return e.message;
    }
    return "";
  };
  EXPECT_EQ(message([](SamplingOptions&) {}), "");
  EXPECT_NE(message([](SamplingOptions& o) { o.temperature = -1; }).find("temperature"), std::string::npos);
  EXPECT_NE(message([](SamplingOptions& o) { o.top_p = 1.5F; }).find("top_p"), std::string::npos);
  EXPECT_NE(message([](SamplingOptions& o) { o.repeat_penalty = 0; }).find("repeat_penalty"),
            std::string::npos);
  EXPECT_NE(message([](SamplingOptions& o) { o.mirostat = 3; }).find("mirostat"), std::string::npos);
  EXPECT_NE(message([](SamplingOptions& o) { o.repeat_last_n = -2; }).find("repeat_last_n"),
            std::string::npos);
  EXPECT_NE(message([](auto& o) { o.dry_multiplier = -1; }).find("dry_multiplier"), std::string::npos);
  EXPECT_NE(message([](auto& o) { o.dry_base = 0.5F; }).find("dry_base"), std::string::npos);
  EXPECT_NE(message([](auto& o) { o.dry_allowed_length = -1; }).find("dry_allowed_length"),
            std::string::npos);
  EXPECT_NE(message([](auto& o) { o.dry_penalty_last_n = -2; }).find("dry_penalty_last_n"),
            std::string::npos);
  EXPECT_NE(message([](SamplingOptions& o) { o.logit_bias[{7}] = NAN; }).find("logit_bias of token 7"),
            std::string::npos);
}

TEST(LogProbabilities, OfTheChosenAndTheLikeliest) {
  const std::vector<float> logits{0, 2, NAN, 1, 2, -INFINITY};
  const LogProbabilities p = log_probabilities(logits, {3}, 3);
  const double sum = 1 + 2 * std::exp(2.0) + std::exp(1.0);
  EXPECT_NEAR(p.chosen, 1 - std::log(sum), 1e-9);
  ASSERT_EQ(p.best.size(), 3U);
  EXPECT_EQ(p.best[0].token.value, 1);  // of equals the lowest id
  EXPECT_EQ(p.best[1].token.value, 4);
  EXPECT_EQ(p.best[2].token.value, 3);
  EXPECT_NEAR(p.best[0].value, 2 - std::log(sum), 1e-9);
  EXPECT_EQ(log_probabilities(logits, {0}, 50).best.size(), 4U);  // the others cannot be chosen
  EXPECT_EQ(log_probabilities(logits, {5}, 0).chosen, -INFINITY);
  EXPECT_EQ(log_probabilities(std::vector<float>{1, INFINITY, INFINITY}, {1}, 0).chosen, -std::log(2.0));
  EXPECT_THROW(log_probabilities(std::vector<float>{NAN, -INFINITY}, {0}, 1), Error);
}

TEST(LogProbabilities, TheBestOfManyAreFoundInOnePass) {
  const auto logits = random_logits(5000, 21);
  const auto order = ranking(logits);
  for (const size_t count : {1, 20, 500}) {
    const LogProbabilities p = log_probabilities(logits, {0}, count);
    ASSERT_EQ(p.best.size(), count);
    for (size_t i = 0; i < count; ++i) EXPECT_EQ(p.best[i].token.value, order[i]) << i;
  }
}

}  // namespace
}  // namespace hearth
