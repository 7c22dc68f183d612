// Plan against reality: what is predicted from a file's header alone is what the device takes in the end.
#include <gtest/gtest.h>

#include <cmath>

#include "convert/shapes.h"
#include "device/parts.h"
#include "model/profile.h"
#include "reference.h"
#include "support/data.h"

namespace hearth::test {
namespace {

// Within 2 % or 64 MiB; small models are held to the byte elsewhere.
void expect_close(uint64_t predicted, uint64_t real, const std::string& what) {
  const double off = std::fabs(static_cast<double>(predicted) - static_cast<double>(real));
  EXPECT_LE(off, std::max(0.02 * static_cast<double>(real), 64.0 * (1 << 20)))
      << what << ": predicted " << predicted << ", taken " << real;
}

Gguf header_of(std::span<const std::byte> bytes, uint64_t file_bytes) {
  const GgufHeader header{bytes, file_bytes, "header"};
  auto file = Gguf::parse_headers(std::span(&header, 1));
  EXPECT_TRUE(file);
  return std::move(*file);
}

std::vector<DeviceBudget> cpu_budgets(size_t count, const BoundModel& model, const MemoryProfile& needs,
                                      const Device& device, KvTypes kv) {
  std::vector<DeviceBudget> budgets(count, DeviceBudget{"cpu", uint64_t{1} << 40});
  for (DeviceBudget& b : budgets) measure(b, model, needs, device, kv);
  return budgets;
}

struct Case {
  KvTypes kv;
  uint32_t context, parallel, rows;
};
const Case cases[] = {
    {{KvType::f16, KvType::f16}, 512, 1, 512},   {{KvType::f32, KvType::q8_0}, 100, 3, 64},
    {{KvType::q8_0, KvType::q4_0}, 300, 8, 128}, {{KvType::q4_0, KvType::f32}, 33, 2, 32},
    {{KvType::q8_0, KvType::q8_0}, 512, 4, 512},
};

// Loads the model on one device and on two, and compares every device's memory with the header's plan.
void compare(const Json& recipe, const std::string& name, std::span<const Case> some) {
  const auto image = build_recipe(recipe);
  const Gguf header = header_of(image, image.size());
  const Gguf file = Gguf::parse(image, name);
  for (const Case& c : some) {
    for (const bool exact : {false, true}) {
      for (const std::optional<uint32_t> cut : {std::optional<uint32_t>{}, std::optional<uint32_t>{1}}) {
        std::vector<std::unique_ptr<Device>> owned;
        std::vector<Device*> devices;
        for (int d = 0; d < (cut ? 2 : 1); ++d) {
          owned.push_back(open_cpu_device({"", 2, exact}));
          devices.push_back(owned.back().get());
        }
        Wish wish{c.context, c.parallel, c.rows, c.kv};
        wish.gpu_layers = cut;
        const BoundModel seen = bind_model(header);
        const MemoryProfile needs = profile(seen, header, *devices[0]);
        const auto budgets = cpu_budgets(devices.size(), seen, needs, *devices[0], c.kv);
        if (!budgets[0].refusals.at(1).empty()) continue;  // a cache type that the heads do not allow
        Plan plan = std::get<Plan>(place(needs, budgets, wish));
        const Plan predicted = plan;
        Engine engine(bind_model(file), file, devices, std::move(plan), {});
        for (size_t d = 0; d < devices.size(); ++d) {
          EXPECT_EQ(devices[d]->reserved(), engine.plan().devices[d].anonymous()) << name;
          expect_close(predicted.devices[d].anonymous(), devices[d]->reserved(), name);
          if (!cut) {
            EXPECT_EQ(predicted.devices[d].anonymous(), devices[d]->reserved()) << name;
          }
        }
        EXPECT_LE(engine.plan().crossing, predicted.crossing) << name;
      }
    }
  }
}

TEST(PlanReality, EveryArchitecture) {
  for (const auto& path : files_in(case_file("logits"), ".json")) {
    const Json reference = read_json(path.string());
    compare(reference.at("gguf"), path.stem().string(), cases);
  }
}

TEST(PlanReality, EveryType) {
  const Json original = read_json(fixture("llama")).at("gguf");
  for (const TypeInfo* type : all_types()) {
    if (type->decode == nullptr) continue;
    Json recipe = original;
    for (Json& t : recipe.as_object()["tensors"].as_array()) {
      if (t.at("shape").as_array().size() < 2) continue;
      t.as_object()["type"] = type->name;
      t.as_object()["fill"] = type->block_values == 1 ? "uniform" : "blocks";
    }
    compare(recipe, std::string(type->name), std::span(cases).first(2));
  }
}

// The shapes that people run: the device reserves as the plan says; nothing is loaded, the pages stay
// untouched.
TEST(PlanReality, ModelsOfFullSize) {
  const std::pair<const char*, const char*> models[] = {{"qwen3-0.6b", "Q8_0"},    {"qwen3-8b", "Q4_K_M"},
                                                        {"qwen2.5-7b", "Q4_0"},    {"llama3.2-1b", "F16"},
                                                        {"llama3.1-8b", "Q5_K_M"}, {"smollm2-1.7b", "Q6_K"}};
  for (const auto& [shape, quant] : models) {
    const GgufWriter writer = synthetic_model(shape, quant);
    const std::string text = writer.header();
    const Gguf header = header_of(std::as_bytes(std::span(text)), writer.file_bytes());
    const BoundModel model = bind_model(header);
    const auto device = open_cpu_device({"", 2, false});
    const MemoryProfile needs = profile(model, header, *device);
    for (const Case& c :
         {Case{{KvType::f16, KvType::f16}, 8192, 1, 512}, Case{{KvType::q8_0, KvType::q8_0}, 32768, 2, 256},
          Case{{KvType::q4_0, KvType::q8_0}, 2048, 8, 512}}) {
      const auto budgets = cpu_budgets(1, model, needs, *device, c.kv);
      const Plan plan = std::get<Plan>(place(needs, budgets, {c.context, c.parallel, c.rows, c.kv}));
      device->reserve(plan.devices[0], model.program);
      expect_close(plan.devices[0].anonymous(), device->reserved(), shape);
      EXPECT_EQ(plan.devices[0].anonymous(), device->reserved()) << shape << ' ' << quant;
    }
    // Divided: what settles after the cut stays within the tolerance too.
    Wish wish{4096, 1, 512, {}};
    wish.gpu_layers = model.hyper.layers / 2;
    const Device* const_device = device.get();
    Plan plan = std::get<Plan>(place(needs, cpu_budgets(2, model, needs, *const_device, wish.kv), wish));
    const Plan predicted = plan;
    const Split parts = split(model.program, devices_of(parts_of(model.program), plan), 2);
    Device* both[] = {device.get(), device.get()};
    settle(plan, parts, both);
    for (uint32_t d = 0; d < 2; ++d) {
      device->reserve(plan.devices[d], parts.devices[d]);
      EXPECT_EQ(plan.devices[d].anonymous(), device->reserved()) << shape << d;
      expect_close(predicted.devices[d].anonymous(), device->reserved(), shape);
    }
  }
}

// The figures of every forum, for the real shape: 8 billion weights of eight bits and 32 K of context.
TEST(PlanReality, EightBillionAt32K) {
  const GgufWriter writer = synthetic_model("llama3.1-8b", "Q8_0");
  const std::string text = writer.header();
  const Gguf header = header_of(std::as_bytes(std::span(text)), writer.file_bytes());
  const BoundModel model = bind_model(header);
  const auto device = open_cpu_device({"", 2, false});
  const MemoryProfile needs = profile(model, header, *device);
  const DeviceBudget card{"card", 24ULL << 30, false};
  const auto bytes = [&](KvType kv) {
    const auto plan = std::get<Plan>(place(needs, card, {32768, 1, 512, {kv, kv}}));
    return static_cast<double>(plan.anonymous());
  };
  EXPECT_NEAR(static_cast<double>(needs.weights()), 8.53e9, 0.03e9);
  EXPECT_LE(bytes(KvType::f16), 14.5e9);
  EXPECT_LE(bytes(KvType::q8_0), 11.65e9);
  EXPECT_GE(bytes(KvType::f16), 12.8e9);
  EXPECT_GE(bytes(KvType::q8_0), 10.8e9);
}

}  // namespace
}  // namespace hearth::test
