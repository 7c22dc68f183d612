// A model divided between Vulkan and the CPU, either way round: the CPU's scores, and the memory of the plan.
#include <gtest/gtest.h>

#include <algorithm>

#include "device/parts.h"
#include "model/profile.h"
#include "reference.h"
#include "rig.h"

namespace hearth::test {
namespace {

std::unique_ptr<Device> open_cpu() { return open_cpu_device({"", 2, true}); }

RunOptions divided(bool gpu_first, std::optional<uint32_t> second) {
  RunOptions o;
  o.rows = 64;
  o.second = second;
  o.open = gpu_first ? &vulkan::open_first : &open_cpu;
  o.open_second = gpu_first ? &open_cpu : &vulkan::open_first;
  return o;
}

TEST(VulkanSplit, ScoresAreTheCpusWhicheverComesFirst) {
  for (const char* name : {"llama", "mixtral", "qwen3-embed"}) {
    const Reference r(fixture(name));
    const uint32_t layers = bind_model(r.file()).hyper.layers;
    RunOptions alone;
    alone.rows = 64;
    const auto wanted = Loaded(r, alone).scores(r.tokens(), true);
    for (const bool gpu_first : {true, false}) {
      for (const uint32_t n : {1U, layers}) {
        SCOPED_TRACE(std::string(name) + (gpu_first ? ", Vulkan first, " : ", CPU first, ") +
                     std::to_string(n) + " parts on the second");
        Loaded model(r, divided(gpu_first, n));
        const Plan& plan = model.engine().plan();
        EXPECT_TRUE(plan.uses(0) && plan.uses(1));
        EXPECT_GT(plan.crossing, 0U);
        const auto got = model.scores(r.tokens(), true);
        ASSERT_EQ(got.size(), wanted.size());
        for (size_t i = 0; i < got.size(); ++i) EXPECT_LE(max_difference(got[i], wanted[i]), 1e-3);
        const Distance d = distance(r.data, got);
        EXPECT_LE(std::max(d.max_abs, d.cosine_loss), 1e-3);
        for (size_t i = 0; i < 2; ++i)
          EXPECT_EQ(model.engine().devices()[i]->reserved(), plan.devices[i].anonymous()) << "device " << i;
      }
    }
  }
}

// What has no shader stays on the CPU, and the plan says why; the rest may go to the card.
TEST(VulkanSplit, LatentAttentionStaysOnTheCpu) {
  const Reference r(fixture("deepseek3"));
  const Gguf file = r.file();
  const auto gpu = vulkan::open_first(), cpu = open_cpu();
  Device* const list[] = {gpu.get(), cpu.get()};
  for (const std::optional<uint32_t> layers :
       {std::optional<uint32_t>{}, std::optional<uint32_t>{1}, std::optional<uint32_t>{99}}) {
    const BoundModel model = bind_model(file);
    const MemoryProfile needs = profile(model, file, *cpu);
    std::vector<DeviceBudget> budgets;
    for (Device* device : list) {
      budgets.push_back({device->info().name, 8ULL << 30});
      budgets.back().maps_weights = device == cpu.get();
      measure(budgets.back(), model, needs, *device, {});
    }
    Wish wish{512, 1, 64, {}};
    wish.gpu_layers = layers;
    Plan plan = std::get<Plan>(place(needs, budgets, wish));
    for (size_t p = 0; p < plan.parts.size(); ++p) {
      const bool layer = plan.parts[p].kind == PartKind::layer;
      EXPECT_EQ(budgets[0].refusals[p].empty(), !layer) << budgets[0].refusals[p];
      if (layer) {
        EXPECT_EQ(plan.parts[p].device, 1U);
      }
    }
    EXPECT_TRUE(std::any_of(plan.notes.begin(), plan.notes.end(), [](const std::string& note) {
      return note.find("there is no shader for latent attention") != std::string::npos;
    }));
    if (layers) {
      EXPECT_TRUE(plan.uses(0));
    }
    Engine engine(bind_model(file), file, {gpu.get(), cpu.get()}, std::move(plan), {});
    std::vector<std::vector<float>> scores;
    Task task;
    task.tokens = r.tokens();
    task.scores = [&](uint32_t, std::span<const float> s) { scores.emplace_back(s.begin(), s.end()); };
    engine.add(std::move(task));
    while (engine.step()) {
    }
    EXPECT_LE(distance(r.data, scores).max_abs, 0.03);  // an f16 cache
  }
}

// Operations that carry a state are refused, with the reason; the plan lays those layers on the CPU and says
// so.
TEST(VulkanSplit, LayersThatCarryAStateGoToTheCpu) {
  for (const char* name : {"lfm2", "mamba", "mamba2", "qwen35"}) {
    SCOPED_TRACE(name);
    const Reference r(fixture(name));
    const BoundModel bound = bind_model(r.file());
    const Parts parts = parts_of(bound.program);
    const auto gpu = vulkan::open_first();
    RunOptions o;
    o.rows = 64;
    o.open = &vulkan::open_first;
    o.beside = true;
    o.second = 1;  // of the layers, the head counted first, one on Vulkan
    Loaded model(r, o);
    const Plan& plan = model.engine().plan();
    size_t carrying = 0;
    for (size_t i = 0; i < bound.program.ops.size(); ++i) {
      const Op& op = bound.program.ops[i];
      if (!std::visit([]<class O>(const O&) { return Carries<O>; }, op)) continue;
      const auto refusal = gpu->refuse(op, bound.program, {});
      ASSERT_TRUE(refusal);
      EXPECT_EQ(refusal->detail, "there is no shader for " + std::string(kind_name(op)) +
                                     ", which carries a state from token to token");
      EXPECT_EQ(plan.parts[parts.of[i]].device, 1U) << "operation " << i;
      ++carrying;
    }
    EXPECT_GT(carrying, 0U);
    EXPECT_EQ(plan.parts.back().device, 0U) << "the head can be computed there";
    ASSERT_FALSE(plan.notes.empty());
    EXPECT_NE(plan.notes.front().find("parts are not computed on"), std::string::npos) << plan.notes.front();
    EXPECT_NE(plan.notes.front().find("carries a state"), std::string::npos) << plan.notes.front();
    const Distance d = distance(r.data, model.scores(r.tokens(), true));
    EXPECT_LE(d.max_abs, 1e-3);
    for (size_t i = 0; i < 2; ++i)
      EXPECT_EQ(model.engine().devices()[i]->reserved(), plan.devices[i].anonymous()) << "device " << i;
  }
}

// What is predicted before anything is loaded is what the device takes: to the byte where the whole model is
// on it, within the planner's bound where it is divided.
TEST(VulkanSplit, ThePlanIsTheReality) {
  struct Case {
    KvTypes kv;
    uint32_t context, parallel, rows;
  };
  const Case cases[] = {{{KvType::f16, KvType::f16}, 300, 2, 64},
                        {{KvType::q8_0, KvType::q8_0}, 512, 1, 128}};
  for (const char* name : {"llama", "mixtral"}) {
    const Reference r(fixture(name));
    const Gguf file = r.file();
    for (const Case& c : cases) {
      for (const std::optional<uint32_t> cut : {std::optional<uint32_t>{}, std::optional<uint32_t>{1}}) {
        const BoundModel model = bind_model(file);
        std::vector<std::unique_ptr<Device>> owned;
        owned.push_back(vulkan::open_first());
        if (cut) owned.push_back(open_cpu());
        const MemoryProfile needs = profile(model, file, *owned.front());
        std::vector<DeviceBudget> budgets;
        std::vector<Device*> devices;
        for (const auto& device : owned) {
          DeviceBudget b{device->info().name, 8ULL << 30};
          b.maps_weights = device->info().name == "cpu";
          measure(b, model, needs, *device, c.kv);
          budgets.push_back(b);
          devices.push_back(device.get());
        }
        Wish wish{c.context, c.parallel, c.rows, c.kv};
        wish.gpu_layers = cut;
        Plan plan = std::get<Plan>(place(needs, budgets, wish));
        const Plan predicted = plan;
        Engine engine(bind_model(file), file, devices, std::move(plan), {});
        for (size_t d = 0; d < devices.size(); ++d) {
          const uint64_t held = devices[d]->reserved(), foretold = predicted.devices[d].anonymous();
          EXPECT_EQ(held, engine.plan().devices[d].anonymous()) << name;
          if (!cut) {
            EXPECT_EQ(held, foretold) << name;
          }
          const uint64_t apart = held > foretold ? held - foretold : foretold - held;
          EXPECT_LE(apart, std::max<uint64_t>(held / 50, 64ULL << 20)) << name;
        }
      }
    }
  }
}

}  // namespace
}  // namespace hearth::test
