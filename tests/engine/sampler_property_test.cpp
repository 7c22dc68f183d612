// The sampler against a naive double reference under random options, and at the edges of its numbers.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <new>
#include <numeric>
#include <random>

#include "base/error.h"
#include "engine/sampler.h"

namespace {

std::atomic<uint64_t> allocations{0};

}  // namespace

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define HEARTH_COUNTS_ALLOCATIONS
// Counts what the whole test program allocates. Not under sanitizers: they replace these operators
// themselves.
void* operator new(size_t size) {
  ++allocations;
  if (void* p = std::malloc(size)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
#endif

namespace hearth {
namespace {

constexpr float inf = std::numeric_limits<float>::infinity();

struct Entry {
  double logit;
  int32_t token;
  double p = 0;
};

void normalise(std::vector<Entry>& list) {
  double sum = 0;
  const double best =
      std::max_element(list.begin(), list.end(), [](auto& a, auto& b) { return a.logit < b.logit; })->logit;
  for (Entry& e : list) sum += e.p = std::exp(e.logit - best);
  for (Entry& e : list) e.p /= sum;
}

void by_score(std::vector<Entry>& list) {
  std::stable_sort(list.begin(), list.end(), [](auto& a, auto& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
  });
}

// The shortest front part that reaches `most`, and in `edge` how near a cut was to going the other way.
void keep_mass(std::vector<Entry>& list, double most, double& edge) {
  double sum = 0;
  size_t keep = 0;
  while (keep < list.size() && (keep == 0 || sum < most)) {
    sum += list[keep++].p;
    edge = std::min(edge, std::fabs(sum - most));
  }
  list.resize(keep);
}

// What a draw may give with which probability, by the definitions alone.
std::vector<Entry> reference(const SamplingOptions& o, const std::vector<float>& logits, double& edge) {
  std::vector<Entry> list;
  for (size_t i = 0; i < logits.size(); ++i)
    list.push_back({static_cast<double>(logits[i]), static_cast<int32_t>(i)});
  by_score(list);
  if (o.top_k > 0 && static_cast<size_t>(o.top_k) < list.size()) list.resize(static_cast<size_t>(o.top_k));
  if (o.typical_p < 1) {
    normalise(list);
    double entropy = 0;
    for (const Entry& e : list) entropy -= e.p * std::log(e.p);
    const auto oddness = [&](const Entry& e) { return std::fabs(-std::log(e.p) - entropy); };
    std::stable_sort(list.begin(), list.end(), [&](auto& a, auto& b) { return oddness(a) < oddness(b); });
    for (size_t i = 1; i < list.size(); ++i)
      edge = std::min(edge, std::fabs(oddness(list[i]) - oddness(list[i - 1])));
    keep_mass(list, static_cast<double>(o.typical_p), edge);
    by_score(list);
  }
  if (o.top_p < 1) {
    normalise(list);
    keep_mass(list, static_cast<double>(o.top_p), edge);
  }
  if (o.min_p > 0) {
    normalise(list);
    const double least = static_cast<double>(o.min_p) * list.front().p;
    for (const Entry& e : list) edge = std::min(edge, std::fabs(e.p - least));
    std::erase_if(list, [&](const Entry& e) { return e.p < least; });
  }
  for (Entry& e : list) e.logit /= static_cast<double>(o.temperature);
  normalise(list);
  return list;
}

SamplingOptions random_options(std::mt19937& random) {
  const auto share = [&] { return static_cast<float>(1 + random() % 98) / 100; };
  SamplingOptions o;
  o.temperature = 0.3F + 2 * share();
  o.top_k = random() % 2 == 0 ? 0 : static_cast<int32_t>(1 + random() % 40);
  o.top_p = random() % 2 == 0 ? 1 : share();
  o.min_p = random() % 2 == 0 ? 0 : share() / 3;
  o.typical_p = random() % 2 == 0 ? 1 : share();
  o.repeat_last_n = 0;
  o.seed = random();
  return o;
}

TEST(SamplerProperty, RandomCutsAgreeWithTheDefinitions) {
  std::mt19937 random(21);
  std::normal_distribution<float> normal(0, 2);
  int compared = 0;
  for (int round = 0; round < 400; ++round) {
    const SamplingOptions o = random_options(random);
    std::vector<float> logits(2 + random() % 90);
    for (float& x : logits) x = normal(random);
    double edge = 1;
    const auto allowed = reference(o, logits, edge);
    if (edge < 1e-6) continue;  // a cut that the last digit of a float decides
    ++compared;
    Sampler sampler(o, static_cast<uint32_t>(logits.size()));
    constexpr int times = 400;
    std::vector<int> counts(logits.size());
    for (int i = 0; i < times; ++i) ++counts[static_cast<size_t>(sampler.choose(logits, nullptr).value)];
    double drawn = 0;
    for (const Entry& e : allowed) {
      const int count = counts[static_cast<size_t>(e.token)];
      drawn += count;
      const double spread = std::sqrt(times * e.p * (1 - e.p));
      EXPECT_NEAR(count, times * e.p, 5 * spread + 3) << "round " << round << " token " << e.token;
    }
    EXPECT_EQ(drawn, times) << "round " << round << ": a token outside the allowed set";
  }
  EXPECT_GT(compared, 300);
}

TEST(SamplerProperty, ChoosingDoesNotAllocate) {
#ifndef HEARTH_COUNTS_ALLOCATIONS
  GTEST_SKIP() << "allocations are counted in the plain build, not under sanitizers";
#endif
  std::mt19937 random(4);
  std::vector<float> logits(32000);
  for (float& x : logits) x = static_cast<float>(random() % 1000) / 100;
  for (int kind = 0; kind < 6; ++kind) {
    SamplingOptions o;
    o.seed = 5;
    o.temperature = kind == 0 ? 0.0F : 1.0F;
    o.top_k = kind == 1 ? 0 : 40;
    o.typical_p = kind == 2 ? 0.7F : 1;
    o.mirostat = kind >= 4 ? kind - 3 : 0;
    o.repeat_penalty = 1.1F;
    o.frequency_penalty = 0.1F;
    o.repeat_last_n = kind == 3 ? -1 : 16;
    o.logit_bias = {{{3}, 1.0F}};
    Sampler sampler(o, 32000);
    const uint64_t before = allocations;
    for (int i = 0; i < 40; ++i) sampler.accept(sampler.choose(logits, nullptr));
    EXPECT_EQ(allocations - before, 0U) << "kind " << kind;
  }
}

TEST(SamplerProperty, ATinyTemperatureIsGreedy) {
  for (const float temperature : {1e-3F, 1e-9F, 1e-38F, 1e-45F}) {
    for (const int mirostat : {0, 1, 2}) {
      SamplingOptions o;
      o.temperature = temperature;
      o.mirostat = mirostat;
      o.seed = 3;
      Sampler sampler(o, 4);
      for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(sampler.choose(std::vector<float>{4, 5, 4.5F, -3}, nullptr).value, 1) << temperature;
        EXPECT_EQ(sampler.choose(std::vector<float>{-4, -5, -3, -9}, nullptr).value, 2) << temperature;
      }
    }
  }
}

TEST(SamplerProperty, NumbersAtTheEdgeNeverLeaveTheVocabulary) {
  const float most = std::numeric_limits<float>::max();
  const std::vector<std::vector<float>> rows{{NAN, -inf, 1, NAN},          {-inf, -inf, -inf, -1e30F},
                                             {most, -most, 0, most},       {inf, inf, 0, -inf},
                                             {-most, -most, -most, -most}, {0, 0, 0, NAN}};
  for (const auto& logits : rows) {
    for (int kind = 0; kind < 24; ++kind) {
      SamplingOptions o;
      o.temperature = kind % 2 == 0 ? 1e-30F : 1e30F;
      o.mirostat = kind % 3;
      o.mirostat_eta = kind % 4 == 0 ? most : 0.1F;
      o.mirostat_tau = kind % 4 == 1 ? most : 5;
      o.typical_p = kind < 12 ? 0.5F : 1;
      o.min_p = 0.01F;
      o.repeat_penalty = kind % 5 == 0 ? 1e-30F : 1e30F;
      o.presence_penalty = kind % 5 == 1 ? most : 0;
      o.seed = static_cast<uint64_t>(kind);
      Sampler sampler(o, 4);
      sampler.accept({1});
      for (int i = 0; i < 10; ++i) {
        const int32_t token = sampler.choose(logits, nullptr).value;
        ASSERT_GE(token, 0);
        ASSERT_LT(token, 4);
        EXPECT_GT(logits[static_cast<size_t>(token)], -inf) << "kind " << kind;
      }
    }
  }
}

// Half of the mass lies in 150,000 tokens that are each far below a float's resolution of the sum.
TEST(SamplerProperty, TheTailOfALargeVocabularyKeepsItsMass) {
  constexpr size_t vocabulary = 150001;
  std::vector<float> logits(vocabulary, 0.0F);
  logits[7] = std::log(150000.0F);
  SamplingOptions o;
  o.temperature = 1;
  o.top_k = 0;
  o.top_p = 1;
  o.seed = 11;
  Sampler sampler(o, vocabulary);
  int head = 0;
  constexpr int times = 400;
  for (int i = 0; i < times; ++i) head += sampler.choose(logits, nullptr).value == 7 ? 1 : 0;
  EXPECT_NEAR(head, times / 2, 50);
}

TEST(SamplerProperty, AWindowIsExactToTheToken) {
  SamplingOptions o;
  o.temperature = 0;
  o.repeat_last_n = 4096;
  o.repeat_penalty = 4;
  Sampler sampler(o, 3);
  for (int i = 0; i < 4096; ++i) sampler.accept({0});
  EXPECT_EQ(sampler.choose(std::vector<float>{3, 1, 0}, nullptr).value, 1);
  for (int i = 0; i < 4095; ++i) sampler.accept({2});
  EXPECT_EQ(sampler.choose(std::vector<float>{3, 1, 0}, nullptr).value, 1) << "one 0 is still in the window";
  sampler.accept({2});
  EXPECT_EQ(sampler.choose(std::vector<float>{3, 1, 0}, nullptr).value, 0);
}

TEST(SamplerProperty, EveryOptionThatIsNoNumberIsNamed) {
  using Change = void (*)(SamplingOptions&);
  const std::vector<std::pair<std::string, Change>> cases{
      {"temperature", [](SamplingOptions& o) { o.temperature = NAN; }},
      {"temperature", [](SamplingOptions& o) { o.temperature = inf; }},
      {"top_p", [](SamplingOptions& o) { o.top_p = NAN; }},
      {"min_p", [](SamplingOptions& o) { o.min_p = -0.1F; }},
      {"typical_p", [](SamplingOptions& o) { o.typical_p = 1.01F; }},
      {"repeat_penalty", [](SamplingOptions& o) { o.repeat_penalty = inf; }},
      {"presence_penalty", [](SamplingOptions& o) { o.presence_penalty = NAN; }},
      {"frequency_penalty", [](SamplingOptions& o) { o.frequency_penalty = -inf; }},
      {"mirostat", [](SamplingOptions& o) { o.mirostat = -1; }},
      {"mirostat_tau", [](SamplingOptions& o) { o.mirostat_tau = NAN; }},
      {"mirostat_eta", [](SamplingOptions& o) { o.mirostat_eta = inf; }},
  };
  for (const auto& [name, change] : cases) {
    SamplingOptions o;
    change(o);
    try {
      Sampler sampler(o, 8);
      ADD_FAILURE() << name << " was accepted";
    } catch (const Error& e) {
      EXPECT_EQ(e.code, Code::bad_request);
      EXPECT_NE(e.message.find("option " + name + " "), std::string::npos) << e.message;
    }
  }
}

}  // namespace
}  // namespace hearth
