// The sampler against one written naively in doubles: no shortcut, no state but the window, everything
// sorted.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <deque>
#include <map>
#include <new>
#include <numeric>
#include <random>

#include "base/error.h"
#include "engine/sampler.h"
#include "engine/sampling/exponential.h"
#include "support/sanitized.h"

namespace {

std::atomic<uint64_t> allocations{0};

}  // namespace

#ifndef HEARTH_SANITIZED
#define HEARTH_COUNTS_ALLOCATIONS
// Counts what the whole test program allocates. Not under sanitizers: they replace these operators
// themselves.
[[gnu::noinline]] void* operator new(size_t size) {
  ++allocations;
  if (void* p = std::malloc(size)) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, size_t) noexcept { std::free(p); }
#endif

namespace hearth {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

struct Entry {
  int32_t token;
  double score, p;
};

void normalise(std::vector<Entry>& entries, double temperature = 1) {
  double best = -infinity, sum = 0;
  for (const Entry& e : entries) best = std::max(best, e.score);
  for (Entry& e : entries) sum += e.p = std::exp((e.score - best) / temperature);
  for (Entry& e : entries) e.p /= sum;
}

void sort_by_score(std::vector<Entry>& entries) {
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.score > b.score; });
}

// What is kept; `close` becomes true where rounding alone decides whether one more is.
void keep_share(std::vector<Entry>& entries, double share, bool& close) {
  double sum = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    sum += entries[i].p;
    close = close || std::fabs(sum - share) < 1e-6;
    if (sum >= share) return entries.resize(i + 1);
  }
}

// The probability of each token that can be drawn.
std::map<int32_t, double> naive(const SamplingOptions& o, const std::vector<float>& logits,
                                const std::deque<int32_t>& history, bool& close) {
  std::vector<Entry> entries;
  for (size_t i = 0; i < logits.size(); ++i) {
    double score = static_cast<double>(logits[i]);
    const auto token = static_cast<int32_t>(i);
    if (o.logit_bias.contains({token})) score += static_cast<double>(o.logit_bias.at({token}));
    const size_t from = o.repeat_last_n < 0 || history.size() < static_cast<size_t>(o.repeat_last_n)
                            ? 0
                            : history.size() - static_cast<size_t>(o.repeat_last_n);
    const auto count = std::count(history.begin() + static_cast<std::ptrdiff_t>(from), history.end(), token);
    if (count > 0) {
      const double penalty = static_cast<double>(o.repeat_penalty);
      score = score > 0 ? score / penalty : score * penalty;
      score -= static_cast<double>(o.presence_penalty) +
               static_cast<double>(o.frequency_penalty) * static_cast<double>(count);
    }
    if (score > -infinity) entries.push_back({token, score, 0});
  }
  sort_by_score(entries);
  if (o.top_k > 0 && static_cast<size_t>(o.top_k) < entries.size())
    entries.resize(static_cast<size_t>(o.top_k));
  if (o.typical_p < 1) {
    normalise(entries);
    double entropy = 0;
    for (const Entry& e : entries) entropy -= e.p * std::log(e.p);
    std::stable_sort(entries.begin(), entries.end(), [&](const Entry& a, const Entry& b) {
      return std::fabs(-std::log(a.p) - entropy) < std::fabs(-std::log(b.p) - entropy);
    });
    keep_share(entries, static_cast<double>(o.typical_p), close);
    sort_by_score(entries);
  }
  if (o.top_p < 1) {
    normalise(entries);
    keep_share(entries, static_cast<double>(o.top_p), close);
  }
  if (o.min_p > 0) {
    normalise(entries);
    const double least = static_cast<double>(o.min_p) * entries.front().p;
    for (const Entry& e : entries) close = close || std::fabs(e.p - least) < 1e-6 * least;
    std::erase_if(entries, [least](const Entry& e) { return e.p < least; });
  }
  normalise(entries, static_cast<double>(o.temperature));
  std::map<int32_t, double> out;
  for (const Entry& e : entries) out[e.token] = e.p;
  return out;
}

SamplingOptions random_options(std::mt19937& random, uint32_t vocabulary) {
  const auto one_of = [&random](auto... values) {
    const std::array list{values...};
    return list[random() % list.size()];
  };
  SamplingOptions o;
  o.seed = random();
  o.temperature = one_of(0.3F, 0.8F, 1.0F, 2.0F);
  o.top_k = one_of(0, 1, 5, 40, 1000);
  o.top_p = one_of(1.0F, 0.9F, 0.4F, 0.0F);
  o.min_p = one_of(0.0F, 0.02F, 0.3F);
  o.typical_p = one_of(1.0F, 0.8F, 0.2F);
  o.repeat_last_n = one_of(-1, 0, 3, 64);
  o.repeat_penalty = one_of(1.0F, 1.3F, 0.8F);
  o.presence_penalty = one_of(0.0F, 0.7F);
  o.frequency_penalty = one_of(0.0F, 0.4F, -0.2F);
  if (random() % 2 == 0) {
    for (int i = 0; i < 5; ++i)
      o.logit_bias[{static_cast<int32_t>(random() % vocabulary)}] =
          one_of(2.0F, -1.0F, -std::numeric_limits<float>::infinity());
  }
  return o;
}

std::vector<float> random_logits(std::mt19937& random, uint32_t count) {
  std::normal_distribution<float> normal(0, 2);
  std::vector<float> logits(count);
  for (float& x : logits) x = random() % 20 == 0 ? -std::numeric_limits<float>::infinity() : normal(random);
  return logits;
}

TEST(SamplerReference, EveryMixtureOfOptionsDrawsWhatTheNaiveOneWould) {
  std::mt19937 random(2024);
  int compared = 0;
  for (int round = 0; round < 400; ++round) {
    const uint32_t vocabulary = round % 4 == 0 ? 700 : 60;
    const SamplingOptions o = random_options(random, vocabulary);
    const auto logits = random_logits(random, vocabulary);
    Sampler sampler(o, vocabulary);
    std::deque<int32_t> history;
    for (int i = 0; i < 80; ++i) {
      history.push_back(static_cast<int32_t>(random() % (vocabulary / 4)));
      sampler.accept({history.back()});
    }
    bool close = false;
    const auto expected = naive(o, logits, history, close);
    if (close) continue;
    ++compared;
    constexpr int times = 2000;
    std::map<int32_t, int> drawn;
    for (int i = 0; i < times; ++i) ++drawn[sampler.choose(logits, nullptr).value];
    double chi = 0;
    for (const auto& [token, p] : expected) {
      const double wanted = times * p;
      if (wanted >= 5) chi += std::pow(drawn[token] - wanted, 2) / wanted;
    }
    for (const auto& [token, count] : drawn)
      ASSERT_TRUE(expected.contains(token)) << "round " << round << " drew " << token;
    // The mean of chi-square is its number of terms n, its deviation √2n: six of them do not happen.
    const double terms = static_cast<double>(expected.size());
    EXPECT_LT(chi, terms + 6 * std::sqrt(2 * terms) + 12) << "round " << round;
  }
  EXPECT_GT(compared, 350);
}

class Every final : public TokenFilter {
 public:
  explicit Every(uint32_t nth) : nth_(nth) {}
  void mask(std::span<uint64_t> allowed) const override {
    for (size_t i = 0; i < allowed.size() * 64; ++i) {
      if (i % nth_ != 1) allowed[i / 64] &= ~(uint64_t{1} << (i % 64));
    }
  }
  void accept(TokenId) override {}

 private:
  uint32_t nth_;
};

TEST(SamplerReference, WhatIsDrawnIsAlwaysAllowed) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    const auto vocabulary = static_cast<uint32_t>(65 + random() % 1500);
    const auto nth = static_cast<uint32_t>(2 + random() % 30);
    SamplingOptions o = random_options(random, vocabulary);
    o.mirostat = static_cast<int32_t>(random() % 3);
    o.temperature = random() % 5 == 0 ? 0 : o.temperature;
    o.logit_bias.clear();
    Sampler sampler(o, vocabulary);
    const Every filter(nth);
    std::vector<float> logits = random_logits(random, vocabulary);
    for (int i = 0; i < 10; ++i) logits[random() % vocabulary] = std::numeric_limits<float>::quiet_NaN();
    logits[1] = 0.5F;  // so that one is allowed
    if (round % 10 == 0) logits[1] = std::numeric_limits<float>::infinity();
    for (int i = 0; i < 20; ++i) {
      const TokenId t = sampler.choose(logits, &filter);
      ASSERT_EQ(static_cast<uint32_t>(t.value) % nth, 1U);
      ASSERT_GT(logits[static_cast<size_t>(t.value)], -std::numeric_limits<float>::infinity());
      sampler.accept(t);
    }
  }
}

TEST(SamplerReference, ExtremesNeitherCrashNorLeaveTheBest) {
  constexpr float big = std::numeric_limits<float>::max(), inf = std::numeric_limits<float>::infinity();
  for (const float temperature : {std::numeric_limits<float>::denorm_min(), 1e-6F, big}) {
    for (const int mirostat : {0, 1, 2}) {
      SamplingOptions o;
      o.seed = 5;
      o.temperature = temperature;
      o.mirostat = mirostat;
      o.mirostat_eta = mirostat == 0 ? 0 : big;
      o.repeat_penalty = 1e-30F;
      Sampler sampler(o, 5);
      sampler.accept({3});
      for (int i = 0; i < 50; ++i) {
        const int32_t cold = sampler.choose(std::vector<float>{1, 2, -3, -4, 0}, nullptr).value;
        if (temperature < 1) {
          EXPECT_EQ(cold, 1);
        }
        EXPECT_GE(sampler.choose(std::vector<float>{-big, big, -inf, 0, big}, nullptr).value, 0);
        const int32_t one = sampler.choose(std::vector<float>{inf, 1, inf, big, NAN}, nullptr).value;
        EXPECT_TRUE(one == 0 || one == 2 || one == 3) << one;  // the penalty lifts 3 to infinity too
      }
    }
  }
}

TEST(SamplerReference, AWindowOfAnySizeForgetsWhatLeavesIt) {
  for (const int32_t last : {1, 2, 7, 64}) {
    RecentTokens recent(last, 20);
    std::deque<int32_t> window;
    std::mt19937 random(static_cast<unsigned>(last));
    for (int i = 0; i < 500; ++i) {
      const auto token = static_cast<int32_t>(random() % 20);
      recent.add({token});
      window.push_back(token);
      if (window.size() > static_cast<size_t>(last)) window.pop_front();
      size_t sum = 0;
      for (const int32_t t : recent.distinct()) {
        ASSERT_EQ(recent.occurrences(t), std::count(window.begin(), window.end(), t));
        sum += recent.occurrences(t);
      }
      ASSERT_EQ(sum, window.size());
    }
  }
  RecentTokens recent(std::numeric_limits<int32_t>::max(), 4);  // asks for no memory that it has no use for
  recent.add({2});
  recent.add({-1});
  recent.add({4});
  EXPECT_EQ(recent.distinct().size(), 1U);
}

TEST(SamplerReference, ACopyGoesItsOwnWay) {
  std::mt19937 random(3);
  const auto logits = random_logits(random, 500);
  SamplingOptions o;
  o.seed = 11;
  o.repeat_penalty = 1.5F;
  Sampler sampler(o, 500);
  for (int i = 0; i < 5; ++i) sampler.accept(sampler.choose(logits, nullptr));
  Sampler same = sampler, other = sampler;
  other.reseed(12);
  EXPECT_EQ(same.seed(), 11U);
  EXPECT_EQ(other.seed(), 12U);
  std::vector<int32_t> a, b, c;
  for (int i = 0; i < 40; ++i) {
    a.push_back(sampler.choose(logits, nullptr).value);
    b.push_back(same.choose(logits, nullptr).value);
    c.push_back(other.choose(logits, nullptr).value);
  }
  EXPECT_EQ(a, b);
  EXPECT_NE(a, c);
}

// The tokens of one seed, written down once: they must not change with the compiler, the standard library,
// the processor or a new version.
// As measured once; any compiler, library and processor must give the same.
TEST(SamplerReference, GoldenSequences) {
  std::vector<float> logits(1000);
  uint32_t state = 1;
  for (float& x : logits) {
    state = state * 1664525U + 1013904223U;
    x = static_cast<float>(state >> 16) / 8192.0F;  // exact: sixteen bits
  }
  const auto tokens = [&logits](void (*change)(SamplingOptions&)) {
    SamplingOptions o;
    o.seed = 42;
    change(o);
    Sampler sampler(o, 1000);
    std::vector<int32_t> out;
    for (int i = 0; i < 10; ++i) {
      out.push_back(sampler.choose(logits, nullptr).value);
      sampler.accept({out.back()});
    }
    return out;
  };
  using List = std::vector<int32_t>;
  EXPECT_EQ(tokens([](SamplingOptions&) {}), (List{533, 358, 842, 415, 284, 33, 250, 426, 33, 309}));
  EXPECT_EQ(tokens([](SamplingOptions& o) { o.top_k = 0, o.top_p = 1; }),
            (List{73, 401, 661, 931, 991, 759, 722, 862, 756, 559}));
  EXPECT_EQ(tokens([](SamplingOptions& o) { o.top_k = 0, o.typical_p = 0.5F, o.min_p = 0.01F; }),
            (List{862, 779, 976, 100, 347, 495, 459, 16, 301, 677}));
  EXPECT_EQ(tokens([](SamplingOptions& o) { o.repeat_penalty = 1.2F, o.frequency_penalty = 0.5F; }),
            (List{533, 223, 250, 284, 41, 644, 113, 484, 15, 430}));
  EXPECT_EQ(tokens([](SamplingOptions& o) { o.mirostat = 1; }),
            (List{931, 759, 505, 839, 951, 839, 533, 123, 839, 30}));
  EXPECT_EQ(tokens([](SamplingOptions& o) { o.mirostat = 2; }),
            (List{69, 413, 661, 931, 991, 759, 737, 862, 759, 562}));
}

TEST(SamplerReference, TheExponentialIsOne) {
  EXPECT_EQ(sampling::exponential(0), 1.0);
  EXPECT_EQ(sampling::exponential(-infinity), 0.0);
  EXPECT_EQ(sampling::exponential(std::nan("")), 0.0);
  for (double x = 0; x > -699; x -= 0.0137) {
    ASSERT_NEAR(sampling::exponential(x) / std::exp(x), 1, 1e-11) << x;
  }
}

TEST(SamplerReference, NoTokenAllocates) {
#ifndef HEARTH_COUNTS_ALLOCATIONS
  GTEST_SKIP() << "the sanitizer counts allocations itself";
#endif
  std::mt19937 random(9);
  const auto logits = random_logits(random, 3000);
  const Every filter(3);
  for (int round = 0; round < 60; ++round) {
    SamplingOptions o = random_options(random, 3000);
    o.mirostat = round % 3;
    Sampler sampler(o, 3000);
    const uint64_t before = allocations;
    for (int i = 0; i < 200; ++i) sampler.accept(sampler.choose(logits, i % 2 == 0 ? &filter : nullptr));
    EXPECT_EQ(allocations, before) << round;
  }
}

}  // namespace
}  // namespace hearth
