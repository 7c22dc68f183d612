// Memory as promised: buffers as planned, and no task that fails for want of pages harms another.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "base/error.h"
#include "convert/shapes.h"
#include "reference.h"
#include "worker/loaded_model.h"

namespace hearth::test {
namespace {

using Scores = std::vector<float>;

std::vector<TokenId> tokens_of(uint32_t count, uint32_t salt) {
  std::vector<TokenId> t;
  for (uint32_t i = 0; i < count; ++i) t.push_back({static_cast<int32_t>((i * 37 + salt * 101 + 5) % 500)});
  return t;
}

Task scoring(std::vector<TokenId> tokens, Scores& out) {
  Task task;
  task.tokens = std::move(tokens);
  task.scores = [&out](uint32_t, std::span<const float> s) { out.assign(s.begin(), s.end()); };
  return task;
}

void drain(Engine& engine) {
  while (engine.step()) {
  }
}

template <class F>
Error refused(F f) {
  try {
    f();
  } catch (const Error& e) {
    return e;
  }
  return {Code::bug, "nothing was thrown", "none"};
}

TEST(EngineMemory, TheDeviceTakesWhatThePlanLists) {
  for (const char* name : {"llama", "qwen3", "mixtral", "qwen3-embed", "deepseek3", "deepseek2-kvb"}) {
    const Reference r(fixture(name));
    for (const KvType type : {KvType::f32, KvType::f16}) {
      for (const uint32_t rows : {64U, 512U}) {
        Loaded model(r, {"", true, {type, type}, 2, rows, 3});
        EXPECT_EQ(model.engine().devices()[0]->reserved(), model.engine().plan().devices[0].anonymous())
            << name;
      }
    }
  }
}

// Bytes of a mapped file that the process holds (Rss of /proc/self/smaps).
uint64_t mapped_bytes(const std::string& path) {
  std::ifstream smaps("/proc/self/smaps");
  uint64_t sum = 0;
  bool here = false;
  for (std::string line; std::getline(smaps, line);) {
    if (line.find("-") != std::string::npos && line.find(" r") != std::string::npos)
      here = line.size() >= path.size() && line.compare(line.size() - path.size(), path.size(), path) == 0;
    if (here && line.starts_with("Rss:")) sum += std::stoull(line.substr(4)) << 10;
  }
  return sum;
}

// A table that is the head's matrix too has a copy there. What a prompt reads of the file itself, and the
// neighbours that the system maps with each row, would come on top of the plan.
TEST(EngineMemory, APromptLeavesNoTableBesideItsCopy) {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("hearth-tied-" + std::to_string(::getpid()) + ".gguf");
  synthetic_model("llama-110m", "Q8_0").write(path);
  {
    LoadRequest request;
    request.wish.context = 1024;
    LoadedModel model(OpenModel::open(path.string()), request);
    ASSERT_TRUE(model.engine().plan().devices[0].copies_weights());
    constexpr uint64_t table = uint64_t{32000} * 768 / 32 * 34;
    const uint64_t before = mapped_bytes(path.string());
    std::vector<TokenId> tokens;
    for (int32_t i = 0; i < 900; ++i) tokens.push_back({i * 35});  // spread over the whole table
    Scores scores;
    model.engine().add(scoring(std::move(tokens), scores));
    drain(model.engine());
    EXPECT_FALSE(scores.empty());
    EXPECT_LE(mapped_bytes(path.string()), before + table / 8);
  }
  std::filesystem::remove(path);
}

// 16 pages; the first sequence holds most of them.
class Crowded : public testing::Test {
 protected:
  Crowded()
      : reference_(fixture("llama")), model_(reference_, {"", true, {KvType::f32, KvType::f32}, 2, 64, 1}) {}
  Engine& engine() { return model_.engine(); }

  Reference reference_;
  Loaded model_;
};

TEST_F(Crowded, ACutThatFindsNoPagesRestsAndHarmsNobody) {
  Scores big, small, out;
  const auto big_tokens = tokens_of(400, 1);
  const SeqId first = engine().add(scoring(big_tokens, big));
  const SeqId second = engine().add(scoring(tokens_of(40, 2), small));
  drain(engine());
  const uint32_t free = engine().free_pages();
  const Error e = refused([&] { engine().cut(second, 20, scoring(tokens_of(300, 3), out)); });
  EXPECT_EQ(e.code, Code::busy) << e.message;
  EXPECT_FALSE(engine().step()) << "the failed task must not be computed";
  EXPECT_TRUE(out.empty());
  EXPECT_EQ(engine().free_pages(), free + 1);
  // The other sequence's pages are untouched, and the resting one can be used again.
  Scores after, fresh;
  engine().cut(first, 399, scoring({big_tokens[399]}, after));
  engine().cut(second, 10, scoring(tokens_of(9, 4), out));
  drain(engine());
  EXPECT_LE(max_difference(big, after), 1e-4);
  engine().remove(first);
  auto same = tokens_of(40, 2);
  same.resize(10);
  for (const TokenId t : tokens_of(9, 4)) same.push_back(t);
  EXPECT_LE(max_difference(out, model_.scores(same, false).back()), 1e-4);
}

TEST_F(Crowded, ACutWithBadOptionsRests) {
  class Sink final : public TokenSink {
   public:
    bool token(TokenId, std::span<const float>) override { return true; }
    void finished(Finish) override {}
  } sink;
  Scores out;
  const SeqId id = engine().add(scoring(tokens_of(40, 2), out));
  drain(engine());
  Task task;
  task.tokens = tokens_of(3, 9);
  task.sink = &sink;
  task.sampling.top_p = 7;
  EXPECT_NE(refused([&] { engine().cut(id, 20, std::move(task)); }).message.find("top_p"), std::string::npos);
  EXPECT_FALSE(engine().step());
  engine().remove(id);
  EXPECT_FALSE(engine().step());
}

TEST_F(Crowded, AForkThatFindsNoPagesFailsAtOnce) {
  Scores base, out;
  const SeqId trunk = engine().add(scoring(tokens_of(45, 1), base));
  drain(engine());
  std::vector<SeqId> fillers;
  Scores ignored;
  while (engine().free_pages() > 0) fillers.push_back(engine().add(scoring(tokens_of(3, 1), ignored)));
  drain(engine());
  // The fork's tokens fit into the pages of its trunk, but its half-filled page needs a copy of its own.
  EXPECT_EQ(refused([&] { engine().fork(trunk, 45, scoring(tokens_of(2, 5), out)); }).code, Code::busy);
  EXPECT_FALSE(engine().step());
  EXPECT_EQ(engine().free_pages(), 0U);
  engine().remove(fillers.back());
  const SeqId branch = engine().fork(trunk, 45, scoring(tokens_of(2, 5), out));
  drain(engine());
  Scores again;
  engine().cut(trunk, 45, scoring({}, again));
  drain(engine());
  EXPECT_LE(max_difference(base, again), 1e-4) << "the trunk's own page was written to";
  engine().remove(branch);
  engine().remove(trunk);
  for (const SeqId id : fillers) engine().remove(id);
  EXPECT_FALSE(engine().step());
  EXPECT_EQ(engine().free_pages(), 16U);
  auto same = tokens_of(45, 1);
  for (const TokenId t : tokens_of(2, 5)) same.push_back(t);
  EXPECT_LE(max_difference(out, model_.scores(same, false).back()), 1e-4);
}

// A cut into the middle of a page that a fork still reads.
TEST_F(Crowded, ACutInASharedPageLeavesTheForkAlone) {
  Scores base, left, right;
  const auto stem = tokens_of(64, 1);
  const SeqId trunk = engine().add(scoring(stem, base));
  drain(engine());
  const SeqId branch = engine().fork(trunk, 64, scoring({{7}}, left));
  drain(engine());
  engine().cut(trunk, 50, scoring(tokens_of(14, 8), right));
  drain(engine());
  engine().cut(branch, 64, scoring({{7}}, right));
  drain(engine());
  EXPECT_LE(max_difference(left, right), 1e-4);
}

TEST_F(Crowded, AHugePenaltyWindowIsTheWholeContext) {
  class Sink final : public TokenSink {
   public:
    bool token(TokenId t, std::span<const float>) override {
      tokens.push_back(t);
      return true;
    }
    void finished(Finish) override {}
    std::vector<TokenId> tokens;
  } all, huge;
  for (Sink* sink : {&all, &huge}) {
    Task task;
    task.tokens = tokens_of(20, 3);
    task.sink = sink;
    task.max_tokens = 40;
    task.sampling.temperature = 0;
    task.sampling.repeat_penalty = 1.5F;
    task.sampling.repeat_last_n = sink == &all ? -1 : std::numeric_limits<int32_t>::max();
    const SeqId id = engine().add(std::move(task));
    drain(engine());
    engine().remove(id);
  }
  EXPECT_EQ(all.tokens.size(), 40U);
  EXPECT_EQ(all.tokens, huge.tokens);
}

}  // namespace
}  // namespace hearth::test
