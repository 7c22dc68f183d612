// Models that carry a state from token to token: the engine's promises hold for them too, though a state
// cannot go back.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "convert/synth.h"
#include "model/profile.h"
#include "reference.h"
#include "session_driver.h"
#include "support/data.h"
#include "support/models.h"
#include "tasks.h"

namespace hearth::test {
namespace {

const std::vector<std::string> models{"lfm2", "mamba", "mamba2", "qwen35"};

std::vector<TokenId> joined(std::vector<TokenId> a, const std::vector<TokenId>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class Counter final : public TokenSink {
 public:
  bool token(TokenId, std::span<const float>) override { return true; }
  void finished(Finish) override {}
};

TEST(Carried, AResultDependsOnNeitherTheBatchNorTheSlices) {
  for (const std::string& name : models) {
    const Reference r(fixture(name));
    for (const uint32_t length : {1U, 31U, 70U, 161U}) {
      for (const bool exact : {true, false}) {
        SCOPED_TRACE(name + ", " + std::to_string(length) + (exact ? " tokens, exact" : " tokens, served"));
        const auto mine = tokens_of(length, 1);
        Scores alone, together;
        Loaded first(r, {"", exact, {KvType::f32, KvType::f32}, 2, 512, 6});
        first.engine().add(scoring(mine, alone));
        drain(first.engine());

        Loaded second(r, {"", exact, {KvType::f32, KvType::f32}, 2, 64, 6});
        Counter others;
        for (uint32_t i = 0; i < 4; ++i)
          second.engine().add(generating(others, tokens_of(3 + 29 * i, 7 + i), 40));
        for (int i = 0; i < 3; ++i) second.engine().step();
        second.engine().add(scoring(mine, together));
        drain(second.engine());
        EXPECT_LE(max_difference(alone, together), 1e-4);
      }
    }
  }
}

TEST(Carried, TokenByTokenEqualsTheWholePrompt) {
  for (const std::string& name : models) {
    const Reference r(fixture(name));
    Loaded model(r, {});
    const auto all = tokens_of(50, 3);
    Scores stepwise;
    const SeqId id = model.engine().add(scoring({all[0]}, stepwise));
    drain(model.engine());
    for (uint32_t i = 1; i < all.size(); ++i) {
      model.engine().cut(id, i, scoring({all[i]}, stepwise));
      EXPECT_EQ(model.engine().sequence(id).computed, i) << "nothing is computed twice";
      drain(model.engine());
    }
    EXPECT_LE(max_difference(model.scores(all, false).back(), stepwise), 1e-4) << name;
  }
}

TEST(Carried, ACutAnywhereEqualsAFreshStart) {
  for (const std::string& name : models) {
    const Reference r(fixture(name));
    Loaded model(r, {});
    Engine& engine = model.engine();
    const auto all = tokens_of(70, 2);
    for (const uint32_t keep : {70U, 69U, 64U, 33U, 32U, 1U}) {
      for (const uint32_t more : {0U, 3U, 40U}) {
        Scores ignored, after;
        const SeqId id = engine.add(scoring(all, ignored));
        drain(engine);
        engine.cut(id, keep, scoring(tokens_of(more, keep), after));
        // A state is that behind the last token: it is gone on with, or made anew.
        EXPECT_EQ(engine.sequence(id).computed, keep == 70 && more > 0 ? 70U : 0U);
        drain(engine);
        engine.remove(id);
        const auto same = joined({all.begin(), all.begin() + keep}, tokens_of(more, keep));
        EXPECT_LE(max_difference(after, model.scores(same, false).back()), 1e-4) << name << " " << keep;
      }
    }
  }
}

void check_forks(Loaded& model, uint32_t at) {
  Engine& engine = model.engine();
  const auto stem = tokens_of(45, 1), a = tokens_of(7, 50), b = tokens_of(40, 60);
  Scores base, left, right, again;
  const SeqId trunk = engine.add(scoring(stem, base));
  drain(engine);
  const SeqId first = engine.fork(trunk, at, scoring(a, left));
  const SeqId second = engine.fork(trunk, at, scoring(b, right));
  EXPECT_EQ(engine.sequence(first).computed, at == 45 ? 45U : 0U);
  drain(engine);
  // The trunk's own state is as it was.
  engine.cut(trunk, 45, scoring({{9}}, again));
  EXPECT_EQ(engine.sequence(trunk).computed, 45U);
  drain(engine);
  for (const SeqId id : {trunk, first, second}) engine.remove(id);
  EXPECT_FALSE(engine.step());
  const std::vector<TokenId> kept(stem.begin(), stem.begin() + at);
  EXPECT_LE(max_difference(left, model.scores(joined(kept, a), false).back()), 1e-4) << at;
  EXPECT_LE(max_difference(right, model.scores(joined(kept, b), false).back()), 1e-4) << at;
  EXPECT_LE(max_difference(again, model.scores(joined(stem, {{9}}), false).back()), 1e-4) << at;
}

TEST(Carried, ForksGoTheirOwnWay) {
  for (const std::string& name : models) {
    SCOPED_TRACE(name);
    const Reference r(fixture(name));
    Loaded model(r, {});
    for (const uint32_t at : {45U, 44U, 32U, 5U}) check_forks(model, at);
  }
}

TEST(Carried, OnTwoDevicesScoresForksAndMemoryAreThoseOfOne) {
  for (const std::string& name : models) {
    const Reference r(fixture(name));
    const uint32_t layers = bind_model(r.file()).hyper.layers;
    for (uint32_t n = 0; n <= layers + 1; ++n) {
      SCOPED_TRACE(name + ", " + std::to_string(n) + " on the second");
      RunOptions o;
      o.second = n;
      o.rows = 64;
      Loaded model(r, o);
      const Distance d = distance(r.data, model.scores(r.tokens(), true));
      EXPECT_LE(d.max_abs, 0.001);
      check_forks(model, 45);
      for (size_t i = 0; i < 2; ++i)
        EXPECT_EQ(model.engine().devices()[i]->reserved(), model.engine().plan().devices[i].anonymous()) << i;
    }
  }
}

// One sequence at once: its state, and that of one more.
TEST(Carried, AStateThatIsMissingMeansToWait) {
  for (const std::string& name : models) {
    const Reference r(fixture(name));
    Loaded model(r, {"", true, {KvType::f32, KvType::f32}, 2, 64, 1});
    Engine& engine = model.engine();
    Scores out;
    const SeqId first = engine.add(scoring(tokens_of(5, 1), out));
    engine.add(scoring(tokens_of(5, 2), out));
    drain(engine);
    for (const bool fork : {true, false}) {
      try {
        fork ? engine.fork(first, 5, scoring({{3}}, out)) : engine.add(scoring({{3}}, out));
        FAIL() << "there was a third state";
      } catch (const Error& e) {
        EXPECT_EQ(e.code, Code::busy);
        EXPECT_EQ(e.message, "all 2 states of sequences are taken");
      }
      EXPECT_FALSE(engine.step());
    }
    engine.remove(first);
    engine.add(scoring({{3}}, out));
    drain(engine);
    EXPECT_LE(max_difference(out, (engine.remove({2}), model.scores({{3}}, false).back())), 1e-4);
  }
}

TEST(Carried, StatesDoNotGrowWithTheContext) {
  for (const std::string& name : models) {
    const Reference r(fixture(name));
    const Gguf file = r.file();
    const BoundModel model = bind_model(file);
    const auto device = open_cpu_device({"", 1, true});
    const MemoryProfile needs = profile(model, file, *device);
    uint64_t states = 0, tokens = 0;
    for (const CacheProfile& c : needs.caches)
      (c.state != 0 ? states : tokens) += page_bytes(c, {}) * (c.state != 0 ? 1 : 16);
    EXPECT_GT(states, 0U);
    for (const uint32_t parallel : {1U, 3U}) {
      const auto plan =
          std::get<Plan>(place(needs, DeviceBudget{"cpu", 8ULL << 30}, {512, parallel, 64, {}}));
      EXPECT_EQ(plan.devices[0].of(BufferKind::kv), parallel * (2 * states + tokens)) << name;
    }
  }
}

// A model that talks in bytes.
class Talking {
 public:
  explicit Talking(const std::string& name)
      : path_(std::filesystem::temp_directory_path() / ("hearth-carried-" + name + ".gguf")) {
    const auto image = build_recipe(with_byte_tokens(read_json(fixture(name)).at("gguf")));
    std::ofstream(path_, std::ios::binary)
        .write(reinterpret_cast<const char*>(image.data()), static_cast<std::streamsize>(image.size()));
  }
  ~Talking() { std::filesystem::remove(path_); }
  Talking(const Talking&) = delete;
  Talking& operator=(const Talking&) = delete;

  LoadRequest load(uint32_t context, uint32_t parallel = 1) const {
    LoadRequest load = small_context(context, parallel);
    load.path = path_;
    return load;
  }

 private:
  std::filesystem::path path_;
};

Request raw(const std::string& text, uint32_t most) {
  Request r;
  r.raw = text;
  r.max_tokens = most;
  r.want_context = true;
  r.sampling.options = {{"temperature", 0}, {"ignore_eos", true}};
  return r;
}

TEST(Carried, AConversationGoesOnFromItsStateAndAnotherBeginsAnew) {
  for (const std::string& name : models) {
    SCOPED_TRACE(name);
    const Talking file(name);
    Driver driver(file.load(512));
    Request r = raw("a stem that is longer than a page of the cache", 20);
    const Heard first = driver.run(r);
    ASSERT_FALSE(first.error) << first.error->what();
    // The same tokens and more: only the last of them, which was drawn and never computed, and what is new.
    Request next = raw(" and on", 10);
    next.context = first.context;
    const Heard second = driver.run(next);
    ASSERT_FALSE(second.error) << second.error->what();
    EXPECT_EQ(second.statistics.cached_tokens + 1, first.context.size());
    // The same question again: its end lies before that of the state.
    const Heard again = driver.run(r);
    EXPECT_EQ(again.statistics.cached_tokens, 0U);
    EXPECT_EQ(again.text, first.text);
  }
}

TEST(Carried, WhoAskedBeforeAndWhoWaitsDoesNotChangeAText) {
  for (const std::string& name : models) {
    SCOPED_TRACE(name);
    const Talking file(name);
    Driver narrow(file.load(96, 1)), wide(file.load(96, 8));
    std::vector<RequestId> a, b;
    for (int i = 0; i < 6; ++i) {
      const Request r = raw(std::string(40, 'a') + std::to_string(i % 4), 30);
      a.push_back(narrow.start(r));
      b.push_back(wide.start(r));
    }
    narrow.drain();
    wide.drain();
    for (size_t i = 0; i < a.size(); ++i) {
      EXPECT_FALSE(narrow.heard[a[i].value].error);
      EXPECT_EQ(narrow.heard[a[i].value].text, wide.heard[b[i].value].text) << i;
    }
  }
}

// The context shifts: what is left is computed again from its beginning, as if it had been asked.
TEST(Carried, AnAnswerThatFillsTheContextShifts) {
  for (const std::string& name : models) {
    SCOPED_TRACE(name);
    const Talking file(name);
    Driver driver(file.load(64));
    Request r = raw("one two three four five six", 120);
    r.shift = true;
    const Heard shifted = driver.run(r);
    ASSERT_FALSE(shifted.error) << shifted.error->what();
    EXPECT_EQ(shifted.statistics.generated_tokens, 120U);
    r.shift = false;
    const Heard ended = driver.run(r);
    EXPECT_EQ(ended.reason, "length");
    EXPECT_EQ(shifted.text.substr(0, ended.text.size()), ended.text);
  }
}

}  // namespace
}  // namespace hearth::test
