// Attention in two passes, through the engine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "reference.h"
#include "worker/loaded_model.h"

namespace hearth::test {
namespace {

// OLLAMA_FLASH_ATTENTION=0, as a request tells it and as the reference's scores bear it.
TEST(TwoPasses, AreWhatARequestWithoutFlashAttentionGets) {
  std::vector<TokenId> prompt;  // more than a page, so that a running maximum runs
  for (int i = 0; i < 75; ++i) prompt.push_back({(i * 37 + 5) % 250});
  const auto scores = [&](bool two_pass) {
    LoadRequest request;
    request.threads = 1;
    request.two_pass_attention = two_pass;
    LoadedModel model(OpenModel::open(""), request, true);
    std::vector<float> last;
    Task task;
    task.tokens = prompt;
    task.scores = [&last](uint32_t, std::span<const float> s) { last.assign(s.begin(), s.end()); };
    model.engine().add(std::move(task));
    while (model.engine().step()) {
    }
    return last;
  };
  const auto running = scores(false), two = scores(true);
  ASSERT_FALSE(running.empty());
  EXPECT_NE(running, two) << "the same to the bit: it had no effect";
  EXPECT_LE(max_difference(running, two), 0.001);
}

// A device that was probed and got a running softmax wrong for these heads keeps the model; for other heads
// nothing changes, and without a stand-in it loses its layers.
TEST(TwoPasses, StandInWhereAProbeSaysSo) {
  const auto notes = [](FailedAttention failed) {
    LoadRequest request;
    request.threads = 1;
    request.avoid = {std::move(failed)};
    std::string all;
    LoadedModel model(OpenModel::open(""), request);
    for (const std::string& note : model.engine().plan().notes) all += note + "\n";
    return all;
  };
  EXPECT_THAT(notes({"cpu", 32, KvType::f16, "wrong", true}),
              testing::HasSubstr("attention takes two passes"));
  EXPECT_THAT(notes({"cpu", 48, KvType::f16, "wrong", true}), testing::Not(testing::HasSubstr("two passes")));
  EXPECT_THAT(notes({"vulkan0", 32, KvType::f16, "wrong", true}),
              testing::Not(testing::HasSubstr("two passes")));
  EXPECT_THROW(notes({"cpu", 32, KvType::f16, "wrong", false}), Error);
}

TEST(TwoPasses, GiveTheScoresOfTheReference) {
  for (const char* name : {"llama", "qwen3", "mixtral"}) {
    const Reference r(fixture(name));
    RunOptions o;
    o.two_pass = true;
    const Distance d = distance(r.data, Loaded(r, o).scores(r.tokens(), true));
    EXPECT_LE(d.max_abs, 0.001) << name;
  }
}

}  // namespace
}  // namespace hearth::test
