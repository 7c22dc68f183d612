// Products in 8-bit integers. Where bytes represent the activations exactly, they are products of floats to
// rounding; where they do not, every result lies within what half a step of each activation can make of it;
// and whole models lose no more than by the CPU's integers.
#include <algorithm>
#include <cmath>
#include <iostream>

#include "base/cpu_features.h"
#include "base/error.h"
#include "reference.h"
#include "rig.h"
#include "support/data.h"

namespace hearth::vulkan {
namespace {

// As in ops_test.cpp: sums in another order.
constexpr double rounding = 2e-5;

std::vector<DType> integer_types() {
  std::vector<DType> types;
  for (const TypeInfo* t : all_types()) {
    if (t->decode != nullptr && multiplies_integers(t->type)) types.push_back(t->type);
  }
  return types;
}

// All kernels take their levels and scales from the same functions of a type, and compiling is what takes
// time here: a few types stand for all where there are several rows.
TEST(VulkanIntegers, ProductsOfEveryTypeAreExactWhereBytesAre) {
  constexpr DType several_rows[] = {DType::q4_0, DType::q8_0, DType::q4_k, DType::q6_k};
  const auto types = integer_types();
  EXPECT_GE(types.size(), 14U);
  const auto gpu = open_variants(integer_variants());
  for (const DType type : types) {
    SCOPED_TRACE(type_info(type).name);
    Rig rig;
    constexpr uint32_t cols = 512;
    const Act x = rig.act(cols), y = rig.act(67);
    rig.push(Embed{x, rig.grid(64, cols), 1});
    rig.push(Linear{x, y, rig.weight(67, cols, type), {}, {}, Act1::none, 1});
    rig.push(Pool{y, PoolKind::none, {}, {}, 67});
    const bool several =
        std::find(std::begin(several_rows), std::end(several_rows), type) != std::end(several_rows);
    expect_same(rig, *gpu, {several ? one_sequence(40, 5) : one_sequence(1, 1)}, rounding);
    if (testing::Test::HasFatalFailure()) return;
  }
}

// With the other ways to sum, and with columns that leave threads idle.
TEST(VulkanIntegers, WithoutSubgroupArithmetic) {
  Variants plain = integer_variants();
  plain.subgroups = false;
  const auto gpu = open_variants(plain);
  for (const DType type : {DType::q8_0}) {
    Rig rig;
    const Act x = rig.act(96), y = rig.act(33);
    rig.push(Embed{x, rig.grid(64, 96), 1});
    rig.push(Linear{x, y, rig.weight(33, 96, type), rig.weight(1, 33), {}, Act1::relu, 0.5F});
    rig.push(Pool{y, PoolKind::none, {}, {}, 33});
    expect_same(rig, *gpu, {one_sequence(70, 6)}, rounding);
  }
}

// Only one of the two kinds of rows in integers.
TEST(VulkanIntegers, GenerationAndPromptsAreChosenApart) {
  for (const bool rows : {true, false}) {
    Variants v = integer_variants();
    v.integer_rows = rows;
    v.integer_prompts = !rows;
    const auto gpu = open_variants(v);
    Rig rig;
    const Act x = rig.act(256), y = rig.act(64), z = rig.act(96);
    rig.push(Embed{x, rig.grid(64, 256), 1});
    rig.push(Gated{x,
                   y,
                   rig.weight(64, 256, DType::q4_k, 0.1F),
                   rig.weight(64, 256, DType::q8_0, 0.1F),
                   {},
                   {},
                   1,
                   1,
                   Act1::silu});
    rig.push(Linear{y, z, rig.weight(96, 64, DType::f32), {}, {}, Act1::none, 1});
    rig.push(Pool{z, PoolKind::none, {}, {}, 96});
    expect_same(rig, *gpu, {one_sequence(40, 5)}, rounding);
  }
}

TEST(VulkanIntegers, RoundingStaysWithinHalfAStep) {
  constexpr uint32_t cols = 512, outs = 67, rows = 40;
  const auto gpu = open_variants(integer_variants());
  const auto cpu = open_cpu_device({"", 1, true});
  for (const DType type : {DType::q4_0, DType::q8_0, DType::q4_k, DType::q6_k}) {
    Rig rig;
    const Act x = rig.act(cols), y = rig.act(outs);
    const Weight table = rig.weight(64, cols), w = rig.weight(outs, cols, type);
    rig.push(Embed{x, table, 1});
    rig.push(Linear{x, y, w, {}, {}, Act1::none, 1});
    rig.push(Pool{y, PoolKind::none, {}, {}, outs});
    const auto wanted = rig.run(*cpu, {one_sequence(rows, 5)}), got = rig.run(*gpu, {one_sequence(rows, 5)});
    const auto in = rig.values_of(table), weights = rig.values_of(w);
    bool exact = true;
    for (uint32_t r = 0; r < rows; ++r) {
      for (uint32_t o = 0; o < outs; ++o) {
        double bound = 0, size = 0;
        for (uint32_t b = 0; b < cols; b += 32) {
          double most = 0, sum = 0;
          for (uint32_t i = b; i < b + 32; ++i) {
            most = std::max(most, std::fabs(static_cast<double>(in[r * cols + i])));
            sum += std::fabs(static_cast<double>(weights[o * cols + i]));
          }
          bound += most / 254 * sum;
          size += most * sum;
        }
        ASSERT_NEAR(got[r][o], wanted[r][o], bound + 1e-6 * size) << type_info(type).name << " row " << r;
        exact = exact && std::fabs(got[r][o] - wanted[r][o]) < 1e-6 * size;
      }
    }
    EXPECT_FALSE(exact) << type_info(type).name << " was not multiplied in integers";
  }
}

// A single row takes the gate and what it gates at once, and a norm leaves the bytes of rows that continue
// sequences: the same bits as beside others, where neither is so.
TEST(VulkanIntegers, NormsAndGatesOfASingleRow) {
  for (const bool subgroups : {true, false}) {
    Variants v = integer_variants();
    v.subgroups = v.subgroups && subgroups;
    const auto gpu = open_variants(v);
    for (const DType type : {DType::q4_k, DType::q8_0, DType::q6_k}) {
      Rig rig;
      const Act x = rig.act(512), n = rig.act(512), y = rig.act(131);
      rig.push(Embed{x, rig.weight(64, 512), 1});
      rig.push(Norm{x, n, rig.weight(1, 512, DType::f32, 0.1F, 1), {}, NormKind::rms, 1e-5F});
      rig.push(Gated{n,
                     y,
                     rig.weight(131, 512, type, 0.1F),
                     rig.weight(131, 512, type, 0.1F),
                     {},
                     {},
                     0.7F,
                     1.3F,
                     Act1::silu});
      rig.push(Pool{y, PoolKind::none, {}, {}, 131});
      const auto alone = rig.run(*gpu, {one_sequence(1, 1)}), two = rig.run(*gpu, {one_sequence(2, 2)}),
                 prompt = rig.run(*gpu, {one_sequence(40, 1)});
      EXPECT_EQ(alone.at(0), two.at(0)) << type_info(type).name;
      EXPECT_EQ(alone.at(0), prompt.at(0)) << type_info(type).name;
      const auto cpu = open_cpu_device({"", 1, true});
      const auto wanted = rig.run(*cpu, {one_sequence(1, 1)});
      float most = 0;
      for (const float w : wanted.at(0)) most = std::max(most, std::fabs(w));
      for (size_t o = 0; o < wanted.at(0).size(); ++o)
        EXPECT_NEAR(alone.at(0)[o], wanted.at(0)[o], 0.02F * most) << type_info(type).name << " " << o;
    }
  }
}

// A row of generation gives the same bits alone and beside others.
TEST(VulkanIntegers, ExactRowsDoNotDependOnTheBatch) {
  const auto gpu = open_variants(integer_variants());
  for (const DType type : {DType::q4_k, DType::q8_0}) {
    Rig rig;
    const Act x = rig.act(512), y = rig.act(130);
    rig.push(Embed{x, rig.weight(64, 512), 1});
    rig.push(Linear{x, y, rig.weight(130, 512, type), {}, {}, Act1::silu, 0.7F});
    rig.push(Pool{y, PoolKind::none, {}, {}, 130});
    const auto alone = rig.run(*gpu, {{{{0, 1, 3}}, 1, {}, 0}});
    Steps batch{{}, 7, {}, 0};
    for (uint32_t s = 0; s < 7; ++s) batch.slices.push_back({s, 1, s == 0 ? 3U : 20U + s});
    const auto beside = rig.run(*gpu, {batch});
    EXPECT_EQ(alone.at(0), beside.at(0)) << type_info(type).name;
  }
}

// Experts of prompts are grouped, those of generated tokens are not; the last matrix in floats, so that only
// exact bytes are in play.
TEST(VulkanIntegers, MixtureOfExperts) {
  const auto gpu = open_variants(integer_variants());
  for (const DType down : {DType::f32, DType::q4_k}) {
    Rig rig;
    constexpr uint32_t width = 256, hidden = 256, experts = 9, used = 3;
    const Act x = rig.act(width), route = rig.act(2 * used), y = rig.act(width);
    rig.push(Embed{x, rig.grid(64, width), 1});
    rig.push(Route{x, route, rig.weight(experts, width, DType::f32, 0.2F), experts, used,
                   RouteScores::softmax, true, 1.5F});
    rig.push(Experts{x, route, y, x, rig.weight(hidden, width, DType::q4_k, 0.1F, 0, experts),
                     rig.weight(hidden, width, DType::q4_k, 0.1F, 0, experts),
                     rig.weight(width, hidden, down, 0.1F, 0, experts), 0.5F, 2, 0.25F, used, hidden,
                     Act1::silu});
    rig.push(Pool{y, PoolKind::none, {}, {}, width});
    // Bytes for the last matrix: half a step is a 254th of its input's largest value, which is up to ten
    // times the usual one, so a 25th of that. Errors spread √3 less and lie within five deviations; the
    // largest of 256 results is three.
    expect_same(rig, *gpu, {one_sequence(60, 5)},
                down == DType::f32 ? rounding : 5.0 / 25 / std::sqrt(3.0) / 3);
  }
}

// The loss of integers against floats, in the scores of a whole model with weights of one type: no more than
// half as much again as the CPU's integers lose.
TEST(VulkanIntegers, ModelsLoseNoMoreThanByTheCpusIntegers) {
  if (!cpu_features().avx2) GTEST_SKIP() << "this processor has no kernels with integers to compare with";
  const Json original = test::read_json(test::fixture("llama"));
  for (const char* type : {"Q8_0", "Q4_K"}) {
    Json changed = original;
    for (Json& t : changed.as_object()["gguf"].as_object()["tensors"].as_array()) {
      if (t.at("shape").as_array().size() > 1) t.as_object()["type"] = type;
    }
    const test::Reference r(changed);
    test::RunOptions o;
    o.rows = 64;
    const auto exact = test::Loaded(r, o).scores(r.tokens(), true);
    o.exact = false;
    o.set = "avx2";  // better sets may multiply prompts in bfloat16
    const auto cpu = test::Loaded(r, o).scores(r.tokens(), true);
    o.open = []() -> std::unique_ptr<Device> { return open_variants(integer_variants()); };
    const auto gpu = test::Loaded(r, o).scores(r.tokens(), true);
    const auto loss = [&](const std::vector<std::vector<float>>& scores) {
      double squares = 0;
      for (size_t i = 0; i < exact.size(); ++i) {
        for (size_t c = 0; c < exact[i].size(); ++c)
          squares += std::pow(static_cast<double>(scores[i][c]) - static_cast<double>(exact[i][c]), 2);
      }
      return std::sqrt(squares);
    };
    EXPECT_GT(loss(gpu), 0) << type << " was not multiplied in integers";
    EXPECT_LE(loss(gpu), 1.5 * loss(cpu)) << type;
  }
}

// What the reference's own integer kernels lose is the measure for every quantized model of it.
TEST(VulkanIntegers, ReferenceModels) {
  if (test::reference_dir().empty()) GTEST_SKIP() << test::no_reference();
  size_t models = 0;
  for (const char* name : {"llama-Q4_0", "llama-Q8_0", "llama-Q4_K_M", "llama-Q6_K"}) {
    const test::Reference r((test::reference_dir() / "logits" / (std::string(name) + ".json")).string());
    test::RunOptions o;
    o.rows = 64;
    o.open = []() -> std::unique_ptr<Device> { return open_variants(integer_variants()); };
    const auto d = test::distance(r.data, test::Loaded(r, o).scores(r.tokens(), true));
    const Json& limits = r.data.at("tolerance").at("int8");
    EXPECT_LE(d.max_abs, limits.at("max_abs").to_number<double>()) << name;
    EXPECT_LE(d.kl, limits.at("kl").to_number<double>()) << name;
    EXPECT_LE(d.kl, 1.1 * r.data.at("spread").at("native").at("kl").to_number<double>()) << name;
    ++models;
  }
  EXPECT_EQ(models, 4U);
}

}  // namespace
}  // namespace hearth::vulkan
