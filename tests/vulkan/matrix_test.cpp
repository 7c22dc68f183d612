// Prompts' products by cooperative matrices, on drivers that have them: against the CPU's floats, within what
// rounding to halves can make of each result; and whole models in the class of half precision.
#include <algorithm>
#include <cmath>
#include <iostream>
#include <limits>
#include <set>

#include "base/error.h"
#include "reference.h"
#include "rig.h"
#include "support/data.h"

namespace hearth::vulkan {
namespace {

// Sums in another order, as in ops_test.cpp.
constexpr double rounding = 2e-5;

std::string no_matrices() {
  const auto driver = module().driver(0);
  if (driver->gpu.capabilities().matrices) return {};
  return driver->gpu.physical().description.description +
         " has no cooperative matrices of halves summed in floats (VK_KHR_cooperative_matrix)";
}

Variants matrix_variants() {
  Variants v = float_variants();
  v.matrix_prompts = true;
  return v;
}

// A product of prompt rows, one of which continues a sequence where there are several.
struct Product {
  uint32_t cols = 512, outs = 67, rows = 40;
  DType type = DType::f32;
  float input = 1, weight = 1;
};

struct Outcome {
  std::vector<float> in, weights;
  std::vector<std::vector<float>> wanted, got;
};

Outcome multiply(const Product& p, Device& gpu) {
  Rig rig;
  const Act x = rig.act(p.cols), y = rig.act(p.outs);
  const Weight table = rig.weight(64, p.cols, DType::f32, p.input),
               w = rig.weight(p.outs, p.cols, p.type, p.weight);
  rig.push(Embed{x, table, 1});
  rig.push(Linear{x, y, w, {}, {}, Act1::none, 1});
  rig.push(Pool{y, PoolKind::none, {}, {}, p.outs});
  const auto cpu = open_cpu_device({"", 1, true});
  const Steps steps = one_sequence(p.rows, 1);
  return {rig.values_of(table), rig.values_of(w), rig.run(*cpu, {steps}), rig.run(gpu, {steps})};
}

// Activations lose half a unit in the last of eleven bits, weights up to a whole one, since a driver may
// round either way. Where a driver makes zero of subnormal halves, a row also loses what is 2^28 times
// smaller than its largest, and weights below 2^-20. Sums of floats lose little beside that. Returns the
// largest loss, as a part of what it may be.
double check_bounds(const Product& p, const Outcome& o) {
  double worst = 0;
  for (uint32_t r = 1; r < p.rows; ++r) {
    const float* x = &o.in[size_t{r % 64} * p.cols];
    double most = 0;
    for (uint32_t c = 0; c < p.cols; ++c) most = std::max(most, std::fabs(static_cast<double>(x[c])));
    for (uint32_t n = 0; n < p.outs; ++n) {
      double size = 0, lost = 0;
      for (uint32_t c = 0; c < p.cols; ++c) {
        const double a = std::fabs(static_cast<double>(x[c])),
                     b = std::fabs(static_cast<double>(o.weights[size_t{n} * p.cols + c]));
        size += a * b;
        lost += most * std::ldexp(b, -28) + std::ldexp(a, -20);
      }
      const double bound = size * (0x1p-11 + 0x1p-10 + p.cols * 0x1p-23) + lost;
      const double off = std::fabs(static_cast<double>(o.got[r][n]) - static_cast<double>(o.wanted[r][n]));
      EXPECT_LE(off, bound) << type_info(p.type).name << " row " << r << " column " << n;
      worst = std::max(worst, off / bound);
      if (testing::Test::HasFailure()) return worst;
    }
  }
  return worst;
}

TEST(VulkanMatrices, ProductsOfEveryType) {
  if (const auto why = no_matrices(); !why.empty()) GTEST_SKIP() << why;
  const auto gpu = open_variants(matrix_variants());
  EXPECT_NE(gpu->info().variants.find("cooperative matrices for prompts"), std::string::npos);
  double worst = 0;
  for (const TypeInfo* t : all_types()) {
    if (t->decode == nullptr) continue;
    SCOPED_TRACE(t->name);
    Product p;
    p.type = t->type;
    const Outcome o = multiply(p, *gpu);
    const double part = check_bounds(p, o);
    EXPECT_GT(part, 1e-4) << "was not multiplied in halves";
    worst = std::max(worst, part);
    if (HasFailure()) return;
  }
  std::cout << "largest loss: " << worst << " of its bound\n";
}

TEST(VulkanMatrices, ProductsOfOddSizes) {
  if (const auto why = no_matrices(); !why.empty()) GTEST_SKIP() << why;
  const auto gpu = open_variants(matrix_variants());
  for (const uint32_t cols : {32U, 96U, 1056U}) {
    for (const uint32_t outs : {1U, 63U, 64U, 130U}) {
      for (const uint32_t rows : {2U, 9U, 64U, 65U, 66U}) {
        Product p;
        p.cols = cols;
        p.outs = outs;
        p.rows = rows;
        p.type = rows % 2 == 0 ? DType::f32 : DType::q8_0;
        SCOPED_TRACE(std::to_string(cols) + " columns " + std::to_string(outs) + " outputs " +
                     std::to_string(rows) + " rows");
        check_bounds(p, multiply(p, *gpu));
        if (HasFailure()) return;
      }
    }
  }
}

// Activations that a half cannot hold, tiny ones, and weights that it cannot hold: those tiles are summed in
// floats. Nothing becomes infinite.
TEST(VulkanMatrices, ValuesThatNoHalfHolds) {
  if (const auto why = no_matrices(); !why.empty()) GTEST_SKIP() << why;
  const auto gpu = open_variants(matrix_variants());
  for (const float input : {1e7F, 1e30F, 1e-7F, 1e-30F, 0.0F}) {
    Product p;
    p.input = input;
    check_bounds(p, multiply(p, *gpu));
  }
  for (const float weight : {300.0F, 2000.0F, 1e6F, 1e-3F}) {
    Product p;
    p.weight = weight;
    check_bounds(p, multiply(p, *gpu));
  }
}

// Where halves represent both sides, only the order of the sums differs.
TEST(VulkanMatrices, ProductsAreExactWhereHalvesAre) {
  if (const auto why = no_matrices(); !why.empty()) GTEST_SKIP() << why;
  const auto gpu = open_variants(matrix_variants());
  Rig rig;
  const Act x = rig.act(512), y = rig.act(96), z = rig.act(77);
  rig.push(Embed{x, rig.grid(64, 512), 1});
  rig.push(Linear{x, y, rig.weight(96, 512, DType::f16, 0.1F), rig.weight(1, 96), {}, Act1::none, 0.5F});
  rig.push(Gated{x, z, rig.grid(77, 512), rig.weight(77, 512, DType::f16, 0.1F), rig.weight(1, 77),
                 rig.weight(1, 77), 0.01F, 1.25F, Act1::silu});
  rig.push(Pool{z, PoolKind::none, {}, {}, 77});
  expect_same(rig, *gpu, {one_sequence(70, 6)}, rounding);
  rig.program.ops.back() = Pool{y, PoolKind::none, {}, {}, 96};
  expect_same(rig, *gpu, {one_sequence(70, 6)}, rounding);
}

// A prompt's row gives the same bits whatever rows stand beside it, and rows of generation are not touched.
TEST(VulkanMatrices, RowsDoNotDependOnTheBatch) {
  if (const auto why = no_matrices(); !why.empty()) GTEST_SKIP() << why;
  const auto gpu = open_variants(matrix_variants()), plain = open_variants(float_variants());
  Rig rig;
  const Act x = rig.act(512), y = rig.act(130);
  rig.push(Embed{x, rig.weight(64, 512), 1});
  rig.push(Linear{x, y, rig.weight(130, 512, DType::q4_k), {}, {}, Act1::silu, 0.7F});
  rig.push(Pool{y, PoolKind::none, {}, {}, 130});
  const auto few = rig.run(*gpu, {one_sequence(7, 2)}), many = rig.run(*gpu, {one_sequence(70, 2)}),
             floats = rig.run(*plain, {one_sequence(7, 2)});
  for (uint32_t r = 0; r < 7; ++r) EXPECT_EQ(few.at(r), many.at(r)) << r;
  for (uint32_t r = 0; r < 2; ++r) EXPECT_EQ(few.at(r), floats.at(r)) << r;
  EXPECT_NE(few.at(3), floats.at(3)) << "was not multiplied in halves";
}

// Bytes for the rows that generate beside halves for those of prompts, in one piece of scratch memory.
TEST(VulkanMatrices, BesideIntegers) {
  if (const auto why = no_matrices(); !why.empty()) GTEST_SKIP() << why;
  if (!module().driver(0)->gpu.capabilities().int_dot) GTEST_SKIP() << "no integer dot products";
  Variants both = integer_variants();
  both.matrix_prompts = true;
  const auto gpu = open_variants(both);
  Rig rig;
  const Act x = rig.act(512), y = rig.act(96);
  rig.push(Embed{x, rig.grid(64, 512), 1});
  rig.push(Linear{x, y, rig.weight(96, 512, DType::q8_0), {}, {}, Act1::none, 1});
  rig.push(Pool{y, PoolKind::none, {}, {}, 96});
  // Exact in bytes; weights round to halves.
  expect_same(rig, *gpu, {one_sequence(6, 6)}, rounding);
  expect_same(rig, *gpu, {one_sequence(70, 6)}, 0x1p-10);
}

TEST(VulkanMatrices, MixtureOfExperts) {
  if (const auto why = no_matrices(); !why.empty()) GTEST_SKIP() << why;
  const auto gpu = open_variants(matrix_variants());
  for (const bool before : {true, false}) {
    for (const DType type : {DType::f16, DType::q4_k}) {
      Rig rig;
      push_mixture(rig, type, before);
      // Three products in a row, each within 2^-11 + 2^-10 of the sum of its magnitudes; signs that cancel
      // make that eight times a result at most here.
      expect_same(rig, *gpu, {one_sequence(60, 5)}, 3 * 8 * (0x1p-11 + 0x1p-10));
    }
  }
}

double limit(const Json& reference, const char* what) {
  const json::object& half = reference.at("tolerance").at("f16").as_object();
  const Json* value = half.if_contains(what);
  return value == nullptr ? std::numeric_limits<double>::infinity() : value->to_number<double>();
}

// The class of half precision, for every model of the reference that an architecture is there for.
TEST(VulkanMatrices, ReferenceModels) {
  if (const auto why = no_matrices(); !why.empty()) GTEST_SKIP() << why;
  if (test::reference_dir().empty()) GTEST_SKIP() << test::no_reference();
  std::set<std::string> known;
  for (const Architecture& a : architectures()) known.emplace(a.name);
  size_t models = 0;
  double worst = 0;
  for (const auto& path : test::files_in(test::reference_dir() / "logits", ".json")) {
    if (!known.contains(std::string(test::read_json(path).at("architecture").as_string()))) continue;
    const test::Reference r(path.string());
    test::RunOptions o;
    o.kv = {KvType::f32, KvType::f32};
    o.rows = 64;
    o.beside = !runs_on_first(r, o.kv);
    o.open = []() -> std::unique_ptr<Device> { return open_variants(matrix_variants()); };
    const auto d =
        test::distance(r.data, test::Loaded(r, o).scores(r.tokens(), r.data.as_object().contains("top8")));
    EXPECT_LE(d.max_abs, limit(r.data, "max_abs")) << r.name;
    EXPECT_LE(d.kl, limit(r.data, "kl")) << r.name;
    EXPECT_LE(d.cosine_loss, limit(r.data, "cosine_loss")) << r.name;
    worst = std::max(worst, d.max_abs / limit(r.data, "max_abs"));
    ++models;
  }
  std::cout << models << " reference models, at most " << worst << " of the class of half precision\n";
  EXPECT_GE(models, 60U);
}

}  // namespace
}  // namespace hearth::vulkan
