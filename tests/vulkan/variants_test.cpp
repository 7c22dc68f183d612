// Which kernels are used: what is asked for, what a driver can do, and what a trial finds.
#include "device/vulkan/variants.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "device/vulkan/trial.h"
#include "rig.h"

namespace hearth::vulkan {
namespace {

TEST(VulkanVariants, AreAskedForByWords) {
  EXPECT_FALSE(parse_variants("").integers);
  EXPECT_TRUE(parse_variants("plain").plain);
  EXPECT_FALSE(*parse_variants("plain").integers);
  EXPECT_TRUE(*parse_variants("integer").integers);
  EXPECT_FALSE(*parse_variants("float,unrolled").integers);
  EXPECT_FALSE(*parse_variants("float,unrolled").compact);
  EXPECT_TRUE(*parse_variants("compact").compact);
  EXPECT_FALSE(parse_variants("float,integer").matrices);
  EXPECT_TRUE(parse_variants("integer,coopmat").matrices);
  EXPECT_TRUE(*parse_variants("integer,coopmat").integers);
  try {
    parse_variants("float,fast");
    FAIL() << "there is no such variant";
  } catch (const Error& e) {
    EXPECT_EQ(e.code, Code::bad_request);
    EXPECT_NE(e.message.find("'fast'"), std::string::npos);
    EXPECT_NE(e.remedy.find("integer"), std::string::npos);
    EXPECT_NE(e.remedy.find("coopmat"), std::string::npos);
  }
}

TEST(VulkanVariants, FollowFromTheDriver) {
  PhysicalDevice d;
  d.description.kind = ModuleDeviceKind::discrete;
  EXPECT_EQ(variants_of(d, {}), (Variants{false, false, false, false}));
  EXPECT_THROW(variants_of(d, parse_variants("integer")), Error) << "the driver has no dot products";
  d.capabilities.int_dot = d.capabilities.subgroup_arithmetic = true;
  EXPECT_EQ(variants_of(d, {}), (Variants{true, false, false, false}))
      << "integers only where they were tried";
  EXPECT_EQ(variants_of(d, parse_variants("integer")), (Variants{true, true, true, false}));
  EXPECT_EQ(variants_of(d, parse_variants("plain,compact")), (Variants{false, false, false, true}));
  EXPECT_THROW(variants_of(d, parse_variants("coopmat")), Error) << "the driver has no matrices that fit";
  d.capabilities.matrices = MatrixTiling{16, 16, 16, 2, 2};
  EXPECT_FALSE(variants_of(d, {}).matrix_prompts) << "matrices only where they were tried";
  EXPECT_EQ(variants_of(d, parse_variants("coopmat")), (Variants{true, false, false, false, true}));
  EXPECT_EQ(describe(variants_of(d, parse_variants("integer,coopmat"))),
            "subgroup arithmetic, integer products for generation, cooperative matrices for prompts, "
            "attention unrolled");
  d.description.kind = ModuleDeviceKind::cpu;
  EXPECT_TRUE(variants_of(d, {}).compact);
  EXPECT_FALSE(variants_of(d, parse_variants("unrolled")).compact);
}

TEST(VulkanVariants, ATrialDecidesAndItsOutcomeStays) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("hearth-variants-" + std::to_string(::getpid()));
  const char* before = std::getenv("XDG_CACHE_HOME");
  const std::string old = before != nullptr ? before : "";
  ::setenv("XDG_CACHE_HOME", folder.c_str(), 1);
  {
    PipelineFile kept("test.variants");
    const auto driver = module().driver(0);
    Variants all = float_variants();
    const Variants chosen = measured_variants(driver, all, kept);
    EXPECT_EQ(chosen.compact, all.compact);
    const auto bytes = kept.read();
    ASSERT_EQ(bytes.size(), 2U);
    // What is kept counts, not what another measurement would give.
    kept.write({bytes[0], bytes[1] ^ std::byte{2}});
    Variants other = chosen;
    other.integer_rows = !chosen.integer_rows && driver->gpu.capabilities().int_dot;
    EXPECT_EQ(measured_variants(driver, all, kept), other);
    // What may not be used is not used, whatever is kept.
    kept.write({bytes[0], std::byte{7}});
    all.subgroups = false;
    EXPECT_FALSE(measured_variants(driver, all, kept).subgroups);
    // Nor what the driver has not.
    kept.write({bytes[0], std::byte{16}});
    EXPECT_EQ(measured_variants(driver, all, kept).row_attention,
              row_attention_fits(driver->gpu.capabilities()));
    kept.write({bytes[0], std::byte{8}});
    EXPECT_EQ(measured_variants(driver, all, kept).matrix_prompts,
              driver->gpu.capabilities().matrices.has_value());
  }
  before != nullptr ? ::setenv("XDG_CACHE_HOME", old.c_str(), 1) : ::unsetenv("XDG_CACHE_HOME");
  std::filesystem::remove_all(folder);
}

TEST(VulkanVariants, WhatIsNoNumberIsNotAlike) {
  const std::vector<float> a{1, -4, 2}, near{1.03F, -4, 2}, far{1.3F, -4, 2}, nan{1, NAN, 2}, few{1, -4};
  EXPECT_TRUE(alike(a, near, 0.01));
  EXPECT_FALSE(alike(a, far, 0.01));
  EXPECT_FALSE(alike(a, nan, 0.01));
  EXPECT_FALSE(alike(nan, a, 0.01));
  EXPECT_FALSE(alike(a, few, 0.01));
}

// The trial of a GPU's attention, here on whatever device there is: both kernels come to the same.
TEST(VulkanVariants, BothKernelsOfRowsAreTried) {
  const auto driver = module().driver(0);
  if (!row_attention_fits(driver->gpu.capabilities()))
    GTEST_SKIP() << "the driver has no subgroup arithmetic of a fixed size";
  const RowAttentionTrial trial = try_row_attention(driver, float_variants(), {4, 2, 32, 32});
  EXPECT_TRUE(trial.alike);
  EXPECT_GT(trial.blocks, 0);
  EXPECT_GT(trial.rows, 0);
}

TEST(VulkanVariants, AreThoseOfTheDevice) {
  const auto halved = module().open(0, {false, 1});
  EXPECT_EQ(static_cast<VulkanDevice&>(*halved).aim(), Clock::usual_aim / 2);
  const auto exact = module().open(0, {true, 0});
  EXPECT_FALSE(static_cast<VulkanDevice&>(*exact).variants().integer_rows);
  EXPECT_FALSE(static_cast<VulkanDevice&>(*exact).variants().integer_prompts);
  EXPECT_FALSE(static_cast<VulkanDevice&>(*exact).variants().matrix_prompts);
}

// Attention as GPUs get it: its loops unrolled, its sums in registers.
TEST(VulkanVariants, UnrolledAttention) {
  Variants v = float_variants();
  v.compact = false;
  const auto gpu = open_variants(v);
  EXPECT_NE(gpu->info().variants.find("unrolled"), std::string::npos);
  Rig rig;
  const HeadShape h{4, 2, 32, 16};
  rig.program.caches = {{1, h.kv_heads, h.k_size, h.v_size, 0}};
  rig.program.ropes = {RopeTable{}};
  const Act x = rig.act(64), q = rig.act(h.q_heads * h.k_size), y = rig.act(h.q_heads * h.v_size);
  rig.push(Embed{x, rig.weight(64, 64), 1});
  Qkv o;
  o.in = x;
  o.q = q;
  o.wq = rig.weight(q.cols, 64, DType::f32, 0.2F);
  o.wk = rig.weight(h.kv_heads * h.k_size, 64, DType::f32, 0.2F);
  o.wv = rig.weight(h.kv_heads * h.v_size, 64, DType::f32, 0.2F);
  o.heads = h;
  rig.push(o);
  rig.push(Attend{q, y, {0, 0}, {true, 0}, 0.3F, 0, h, {}});
  rig.push(Pool{y, PoolKind::none, {}, {}, y.cols});
  expect_same(rig, *gpu, {one_sequence(70, 3), {{{0, 1, 70}}, 1, {}, 0}}, 1e-4, {KvType::f32, KvType::f32});
}

}  // namespace
}  // namespace hearth::vulkan
