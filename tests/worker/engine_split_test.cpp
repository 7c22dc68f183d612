// The engine over two devices: wherever the model is cut, scores, forks and memory are those of one.
#include <gtest/gtest.h>

#include "base/error.h"
#include "reference.h"
#include "worker/loaded_model.h"

namespace hearth::test {
namespace {

RunOptions cut_at(uint32_t layers) {
  RunOptions o;
  o.second = layers;
  o.rows = 64;
  return o;
}

TEST(EngineSplit, ScoresAreThoseOfTheReferenceWhereverTheCutIs) {
  for (const char* name : {"llama", "qwen3", "mixtral", "qwen3-embed", "deepseek3"}) {
    const Reference r(fixture(name));
    const uint32_t layers = bind_model(r.file()).hyper.layers;
    for (uint32_t n = 0; n <= layers + 1; ++n) {
      Loaded model(r, cut_at(n));
      const Plan& plan = model.engine().plan();
      EXPECT_EQ(plan.layers_on(1), n == 0 ? 0 : n - 1) << name;
      const Distance d = distance(r.data, model.scores(r.tokens(), true));
      EXPECT_LE(std::max(d.max_abs, d.cosine_loss), 0.001) << name << ", " << n << " on the second";
      for (size_t i = 0; i < 2; ++i)
        EXPECT_EQ(model.engine().devices()[i]->reserved(), plan.devices[i].anonymous()) << name << i;
    }
  }
}

// A fork that writes to a half-filled page must not touch its trunk's, on neither device.
TEST(EngineSplit, PagesAreCopiedOnEveryDevice) {
  const Reference r(fixture("llama"));
  Loaded model(r, cut_at(2));
  ASSERT_GT(model.engine().plan().layers_on(0), 0U);
  ASSERT_GT(model.engine().plan().layers_on(1), 0U);
  std::vector<TokenId> stem, other{{9}, {8}};
  for (int i = 0; i < 45; ++i) stem.push_back({(i * 37 + 5) % 250});
  std::vector<float> before, after, branch;
  const auto into = [](std::vector<TokenId> tokens, std::vector<float>& out) {
    Task task;
    task.tokens = std::move(tokens);
    task.scores = [&out](uint32_t, std::span<const float> s) { out.assign(s.begin(), s.end()); };
    return task;
  };
  Engine& engine = model.engine();
  const auto drain = [&] {
    while (engine.step()) {
    }
  };
  const SeqId trunk = engine.add(into(stem, before));
  drain();
  const SeqId fork = engine.fork(trunk, 45, into(other, branch));
  drain();
  engine.cut(trunk, 45, into({}, after));
  drain();
  EXPECT_LE(max_difference(before, after), 1e-4);
  auto whole = stem;
  whole.insert(whole.end(), other.begin(), other.end());
  EXPECT_LE(max_difference(branch, model.scores(whole, false).back()), 1e-4);
  engine.remove(fork);
  engine.remove(trunk);
  EXPECT_FALSE(engine.step());
}

// As a worker loads it: devices by name, what they may take from the request.
TEST(EngineSplit, ARequestNamesTheDevices) {
  LoadRequest request;
  request.devices = {"cpu", "cpu"};
  request.threads = 1;
  request.wish.gpu_layers = 2;
  LoadedModel model(OpenModel::open(""), request);
  const Plan& plan = model.engine().plan();
  ASSERT_EQ(plan.devices.size(), 2U);
  EXPECT_EQ(plan.layers_on(1), 1U);
  EXPECT_GT(plan.crossing, 0U);
  EXPECT_EQ(model.device_names(), "cpu, cpu");
}

// A container's limit counts the pages of the file: refused with the numbers and a fix.
TEST(EngineSplit, ALimitThatTheFileDoesNotFitIntoIsRefused) {
  LoadRequest request;
  request.budgets = {DeviceBudget{"cpu"}};
  request.budgets[0].mapped_limit = 64 << 10;
  try {
    LoadedModel(OpenModel::open(""), request);
    FAIL() << "it was loaded";
  } catch (const Error& e) {
    EXPECT_EQ(e.code, Code::out_of_memory);
    EXPECT_NE(e.message.find("memory limit leaves 0 MiB"), std::string::npos) << e.message;
    EXPECT_NE(e.remedy.find("a memory limit of"), std::string::npos) << e.remedy;
  }
}

}  // namespace
}  // namespace hearth::test
