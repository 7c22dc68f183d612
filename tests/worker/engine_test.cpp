// What the engine promises whatever the model: independence of the batch, forks, cuts, honest accounting.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <new>

#include "base/cpu_features.h"
#include "base/error.h"
#include "reference.h"
#include "support/sanitized.h"
#include "tasks.h"

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

namespace hearth::test {
namespace {

// Generates until it is removed or reaches its limit; remembers what came.
class Recorder final : public TokenSink {
 public:
  bool token(TokenId t, std::span<const float>) override {
    tokens.push_back(t);
    return true;
  }
  void finished(Finish why) override {
    ++ends;
    reason = why;
  }
  void failed(const Error& e) override { error = e.message; }
  std::vector<TokenId> tokens;
  std::string error;
  int ends = 0;
  Finish reason{};
};

struct Setup {
  std::string model, set;
  bool exact;
  KvTypes kv;
  std::vector<uint32_t> lengths{1, 31, 32, 70, 97};
};

void check_independence(const Setup& s) {
  const Reference r(fixture(s.model));
  for (const uint32_t length : s.lengths) {
    const auto mine = tokens_of(length, 1);
    Scores alone, together;
    Loaded first(r, {s.set, s.exact, s.kv, 2, 64, 6});
    first.engine().add(scoring(mine, alone));
    drain(first.engine());

    Loaded second(r, {s.set, s.exact, s.kv, 2, 64, 6});
    Recorder others[4];
    for (uint32_t i = 0; i < 4; ++i)
      second.engine().add(generating(others[i], tokens_of(3 + 29 * i, 7 + i), 40));
    for (int i = 0; i < 3; ++i) second.engine().step();
    second.engine().add(scoring(mine, together));
    drain(second.engine());
    EXPECT_LE(max_difference(alone, together), 1e-4)
        << s.model << " " << s.set << " exact " << s.exact << " length " << length;
  }
}

TEST(Engine, AResultDoesNotDependOnTheBatch) {
  for (const bool exact : {true, false}) {
    check_independence({"llama", "", exact, {KvType::f16, KvType::f16}});
    check_independence({"llama", "portable", exact, {KvType::f32, KvType::f32}});
  }
  check_independence({"qwen3", "", false, {KvType::q8_0, KvType::q4_0}});
  check_independence({"llama-Q4_K_M", "", false, {KvType::f32, KvType::q8_0}});
  for (const char* model : {"mixtral", "deepseek3", "deepseek2-kvb", "qwen2moe", "glm4moe-nextn"})
    check_independence({model, "", false, {KvType::f16, KvType::f16}});
}

TEST(Engine, IndependentOfTheBatchWithEverySetAndCache) {
  std::vector<const char*> sets = {"", "portable"};
  if (cpu_features().avx512) sets.push_back("avx2");  // elsewhere the best set is AVX2 itself
  for (const char* set : sets) {
    for (const KvType type : {KvType::f32, KvType::f16, KvType::q8_0, KvType::q4_0}) {
      for (const bool exact : {true, false}) {
        for (const char* model : {"llama", "deepseek3"})
          check_independence({model, set, exact, {type, type}, {77}});
      }
    }
  }
}

class EngineWith : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Models, EngineWith, testing::Values("llama", "deepseek3"));

TEST_P(EngineWith, TokenByTokenEqualsTheWholePrompt) {
  const Reference r(fixture(GetParam()));
  Loaded model(r, {});
  const auto all = tokens_of(50, 3);
  Scores whole, stepwise;
  model.engine().add(scoring(all, whole));
  drain(model.engine());
  const SeqId id = model.engine().add(scoring({all[0]}, stepwise));
  drain(model.engine());
  for (uint32_t i = 1; i < all.size(); ++i) {
    model.engine().cut(id, i, scoring({all[i]}, stepwise));
    drain(model.engine());
  }
  EXPECT_LE(max_difference(whole, stepwise), 1e-4);
}

// An f16 cache turns the last digits in which prompt and generation kernels differ into a step of its own
// rounding.
void check_forks(const char* name, KvType kv, double tolerance) {
  const Reference r(fixture(name));
  Loaded model(r, {"", true, {kv, kv}, 2, 512, 8});
  Engine& engine = model.engine();
  for (const uint32_t length : {5U, 32U, 45U, 64U}) {
    const auto stem = tokens_of(length, 1);
    Scores base;
    const SeqId trunk = engine.add(scoring(stem, base));
    drain(engine);
    Scores left, right, again, fresh_left, fresh_right;
    const auto a = tokens_of(7, 50), b = tokens_of(9, 60);
    engine.fork(trunk, length, scoring(a, left));
    engine.fork(trunk, length, scoring(b, right));
    drain(engine);
    engine.cut(trunk, length, scoring({}, again));
    drain(engine);
    auto with_a = stem, with_b = stem;
    with_a.insert(with_a.end(), a.begin(), a.end());
    with_b.insert(with_b.end(), b.begin(), b.end());
    fresh_left = model.scores(with_a, false).back();
    fresh_right = model.scores(with_b, false).back();
    EXPECT_LE(max_difference(left, fresh_left), tolerance) << length;
    EXPECT_LE(max_difference(right, fresh_right), tolerance) << length;
    EXPECT_LE(max_difference(base, again), tolerance) << length;
    for (uint32_t id = 1; id < 100; ++id) engine.remove({id});
  }
}

TEST_P(EngineWith, ForksShareAndThenGoTheirOwnWay) {
  check_forks(GetParam(), KvType::f32, 1e-4);
  check_forks(GetParam(), KvType::f16, 1e-3);
}

// Whatever the fork's own tokens are, and however far its trunk is computed.
TEST(Engine, AForkAnywhereEqualsAFreshStart) {
  const Reference r(fixture("llama"));
  Loaded model(r, {});
  Engine& engine = model.engine();
  const auto stem = tokens_of(70, 1);
  Scores base, out;
  const SeqId trunk = engine.add(scoring(stem, base));
  drain(engine);
  for (const uint32_t keep : {69U, 64U, 45U, 32U, 1U}) {
    const auto other = tokens_of(60, 80 + keep);
    const SeqId branch = engine.fork(trunk, keep, scoring(other, out));
    EXPECT_EQ(engine.sequence(branch).computed, keep);
    drain(engine);
    engine.remove(branch);
    std::vector<TokenId> same(stem.begin(), stem.begin() + keep);
    same.insert(same.end(), other.begin(), other.end());
    EXPECT_LE(max_difference(out, model.scores(same, false).back()), 1e-4) << keep;
  }
}

TEST_P(EngineWith, ACutAnywhereEqualsAFreshStart) {
  const Reference r(fixture(GetParam()));
  Loaded model(r, {});
  const auto all = tokens_of(70, 2);
  Scores ignored, after;
  const SeqId id = model.engine().add(scoring(all, ignored));
  drain(model.engine());
  for (uint32_t keep = 69; keep > 0; --keep) {
    const auto more = tokens_of(3, keep);
    model.engine().cut(id, keep, scoring(more, after));
    drain(model.engine());
    std::vector<TokenId> same(all.begin(), all.begin() + keep);
    same.insert(same.end(), more.begin(), more.end());
    EXPECT_LE(max_difference(after, model.scores(same, false).back()), 1e-4) << keep;
  }
}

TEST(Engine, AllPagesComeBack) {
  const Reference r(fixture("llama"));
  Loaded model(r, {"", true, {}, 2, 64, 2});
  Engine& engine = model.engine();
  const uint32_t all = engine.free_pages();
  Recorder sinks[3];
  std::vector<SeqId> ids;
  for (uint32_t i = 0; i < 3; ++i)
    ids.push_back(engine.add(generating(sinks[i], tokens_of(20 + 30 * i, i), 25)));
  drain(engine);  // the last step proves the accounting
  for (const Recorder& s : sinks) {
    EXPECT_EQ(s.tokens.size(), 25U);
    EXPECT_EQ(s.ends, 1);
    EXPECT_EQ(s.reason, Finish::length);
  }
  EXPECT_LT(engine.free_pages(), all);
  for (const SeqId id : ids) engine.remove(id);
  EXPECT_FALSE(engine.step());
  EXPECT_EQ(engine.free_pages(), all);
}

std::string refusal(Engine& engine, Task task) {
  try {
    engine.add(std::move(task));
  } catch (const Error& e) {
    return e.message;
  }
  return "";
}

TEST(Engine, RefusalsNameTheNumbersAndLoseNothing) {
  const Reference r(fixture("llama"));
  Loaded model(r, {"", true, {}, 2, 64, 1});
  Engine& engine = model.engine();
  Scores out;
  EXPECT_NE(refusal(engine, scoring(tokens_of(513, 1), out)).find("513 tokens, the context takes 512"),
            std::string::npos);
  EXPECT_NE(refusal(engine, scoring({}, out)).find("no tokens"), std::string::npos);
  EXPECT_NE(refusal(engine, scoring({{99999}}, out)).find("99999"), std::string::npos);
  EXPECT_NE(refusal(engine, scoring({{-1}}, out)).find("-1"), std::string::npos);
  Scores first;
  const SeqId big = engine.add(scoring(tokens_of(500, 1), first));
  EXPECT_NE(refusal(engine, scoring(tokens_of(100, 2), out)).find("pages"), std::string::npos);
  drain(engine);
  EXPECT_EQ(first.size(), 512U);
  engine.remove(big);
  engine.add(scoring(tokens_of(100, 2), out));
  drain(engine);
  EXPECT_EQ(out.size(), 512U);
}

TEST_P(EngineWith, GenerationDoesNotAllocate) {
#ifndef HEARTH_COUNTS_ALLOCATIONS
  GTEST_SKIP() << "allocations are counted in the plain build, not under sanitizers";
#endif
  const Reference r(fixture(GetParam()));
  Loaded model(r, {"", true, {}, 2, 64, 4});
  Recorder sinks[3];
  for (Recorder& s : sinks) s.tokens.reserve(400);
  for (uint32_t i = 0; i < 3; ++i) model.engine().add(generating(sinks[i], tokens_of(10 + i, i), 150));
  for (int i = 0; i < 40; ++i) model.engine().step();
  const uint64_t before = allocations;
  for (int i = 0; i < 90; ++i) model.engine().step();  // several pages further
  EXPECT_EQ(allocations - before, 0U);
}

// Sequences of a batch are drawn on all threads: each as if it were alone.
TEST(Engine, DrawsOfABatchAreThoseOfEachAlone) {
  const Reference r(fixture("llama"));
  const auto task = [](Recorder& sink, uint32_t i) {
    Task t = generating(sink, tokens_of(6 + i, i), 40);
    t.sampling.temperature = 1.5F;
    t.sampling.repeat_penalty = i % 2 == 0 ? 1.3F : 1.0F;
    t.sampling.seed = 100 + i;
    return t;
  };
  constexpr uint32_t count = 5;
  Recorder together[count];
  Loaded all(r, {"", true, {}, 3, 64, 6});
  for (uint32_t i = 0; i < count; ++i) all.engine().add(task(together[i], i));
  drain(all.engine());
  for (uint32_t i = 0; i < count; ++i) {
    Recorder alone;
    Loaded one(r, {"", true, {}, 3, 64, 6});
    one.engine().add(task(alone, i));
    drain(one.engine());
    EXPECT_EQ(together[i].tokens, alone.tokens) << i;
    EXPECT_FALSE(alone.tokens.empty());
  }
}

// What is wrong with one sequence of a batch is no matter of the others.
TEST(Engine, WhereNothingCanBeDrawnTheOthersGoOn) {
  const Reference r(fixture("llama"));
  Recorder alone, sinks[4];
  Loaded one(r, {"", true, {}, 3, 64, 6}), model(r, {"", true, {}, 3, 64, 6});
  one.engine().add(generating(alone, tokens_of(5, 3), 10));
  drain(one.engine());
  for (uint32_t i = 0; i < 4; ++i) {
    Task t = generating(sinks[i], tokens_of(5, i), 10);
    if (i == 2) {
      for (int32_t token = 0; token < 512; ++token) t.sampling.logit_bias[{token}] = -INFINITY;
    }
    model.engine().add(std::move(t));
  }
  drain(model.engine());
  for (uint32_t i = 0; i < 4; ++i) {
    EXPECT_EQ(sinks[i].tokens.size(), i == 2 ? 0U : 10U) << i;
    EXPECT_EQ(sinks[i].error, i == 2 ? "option logit_bias bans every token" : "") << i;
    EXPECT_EQ(sinks[i].ends, i == 2 ? 0 : 1) << i;
  }
  EXPECT_EQ(sinks[3].tokens, alone.tokens);
}

TEST(Engine, TheSameSeedGivesTheSameTokens) {
  const Reference r(fixture("llama"));
  std::vector<TokenId> texts[3];
  for (int run = 0; run < 3; ++run) {
    Loaded model(r, {});
    Recorder sink;
    Task task = generating(sink, tokens_of(12, 1), 60);
    task.sampling.temperature = 2;
    task.sampling.seed = run < 2 ? 42 : 43;
    model.engine().add(std::move(task));
    drain(model.engine());
    texts[run] = sink.tokens;
  }
  EXPECT_EQ(texts[0], texts[1]);
  EXPECT_NE(texts[0], texts[2]);
}

}  // namespace
}  // namespace hearth::test
