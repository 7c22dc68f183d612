// What an architecture file gets wrong is told with the operation, the layer, what was expected and found.
#include "model/builder.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace hearth {
namespace {

// Weights of latent attention with two heads, by number from 1 on.
std::vector<WeightInfo> latent_weights() {
  return {{"q", DType::f32, {80, 64, 1}},
          {"k_b", DType::f32, {32, 32, 2}},
          {"norm", DType::f32, {1, 32, 1}},
          {"v_b", DType::f32, {16, 32, 2}},
          {"kv_b", DType::f32, {96, 32, 1}}};
}

constexpr LatentShape shape{2, 32, 8, 32};

LatentW latent_w() {
  LatentW w;
  w.q = {{1}, {}, 1, 80, 64};
  w.k = {{2}, {}, 1, 32, 32};
  w.norm = {{3}, {}};
  w.keys = {2, 32, 0, 32};
  return w;
}

Builder builder() {
  Builder b({RopeTable{}}, {{1, 1, shape.key(), 0, 0}}, latent_weights());
  b.at_layer(7);
  return b;
}

template <class F>
std::string fault(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.message;
  }
  return "";
}

TEST(Builder, LatentAttentionOfBothLayouts) {
  Builder b = builder();
  LatentW w = latent_w();
  EXPECT_EQ(b.qkv_latent({1, 64}, {2, 40}, w, shape, {}).cols, 80U);
  EXPECT_EQ(b.head_linear({3, 64}, {{4}, {}, 1, 16, 32}, {2, 16, 0, 16}).cols, 32U);
  w.k = {{5}, {}, 1, 96, 32};
  w.upright = true;
  w.keys = {2, 32, 0, 48};
  EXPECT_EQ(b.qkv_latent({1, 64}, {2, 40}, w, shape, {}).cols, 80U);
  EXPECT_EQ(b.head_linear({3, 64}, {{5}, {}, 1, 96, 32}, {2, 16, 32, 48}).cols, 32U);
  const Program p = std::move(b).finish();
  ASSERT_EQ(p.ops.size(), 4U);
  EXPECT_EQ(kind_name(p.ops[0]), "QkvLatent");
  EXPECT_EQ(weights_of(p.ops[0]).size(), 3U);
  EXPECT_EQ(operands(p.ops[0]).in[1].cols, 40U);
}

TEST(Builder, LatentAttentionNamesWhatDoesNotFit) {
  Builder b = builder();
  EXPECT_EQ(fault([&] {
              b.qkv_latent({1, 60}, {2, 40}, latent_w(), shape, {});
            }),
            "latent attention of layer 7 expects 'q' as 1 × 80 × 60, finds 1 × 80 × 64");
  EXPECT_EQ(fault([&] {
              b.qkv_latent({1, 64}, {2, 32}, latent_w(), shape, {});
            }),
            "latent attention of layer 7 gets 32 columns, expects 40");
  LatentW w = latent_w();
  w.norm.gain = {1};
  EXPECT_EQ(fault([&] {
              b.qkv_latent({1, 64}, {2, 40}, w, shape, {});
            }),
            "latent attention of layer 7 expects 'q' as 1 × 1 × 32, finds 1 × 80 × 64");
  w = latent_w();
  w.keys.pitch = 33;
  EXPECT_EQ(fault([&] {
              b.qkv_latent({1, 64}, {2, 40}, w, shape, {});
            }),
            "latent attention of layer 7 expects 65 rows of 32 columns in 'k_b', finds 64 of 32");
  EXPECT_EQ(fault([&] {
              b.head_linear({3, 48}, {{4}, {}, 1, 16, 32}, {2, 16, 0, 16});
            }),
            "projection of heads of layer 7 expects 32 rows of 24 columns in 'v_b', finds 32 of 32");
  EXPECT_EQ(fault([&] {
              b.head_linear({3, 64}, {{4}, {3}, 1, 16, 32}, {2, 20, 0, 16});
            }),
            "projection of heads of layer 7 expects 36 rows of 32 columns in 'v_b', finds 32 of 32");
}

TEST(Builder, GroupsOfExpertsMustBeWhole) {
  Builder b({}, {},
            {{"router", DType::f32, {12, 64, 1}},
             {"e", DType::f32, {32, 64, 12}},
             {"d", DType::f32, {64, 32, 12}}});
  ExpertsW w{
      {{1}, {}, 1, 12, 64}, {{2}, {}, 1, 32, 64}, {{2}, {}, 1, 32, 64}, {{3}, {}, 1, 64, 32}, 12, 4, 32};
  w.route.groups = 5;
  EXPECT_EQ(fault([&] {
              b.experts({1, 64}, w, {}, Act1::silu);
            }),
            "4 of 12 experts cannot be chosen from 1 of 5 groups");
  w.route.groups = 4;
  EXPECT_EQ(fault([&] {
              b.experts({1, 64}, w, {}, Act1::silu);
            }),
            "4 of 12 experts cannot be chosen from 1 of 4 groups");
  w.route.groups_used = 2;
  EXPECT_EQ(fault([&] { b.experts({1, 64}, w, {}, Act1::silu); }), "");
  w.bias = {1};
  EXPECT_EQ(fault([&] {
              b.experts({1, 64}, w, {}, Act1::silu);
            }),
            "router of layer 65535 expects 'router' as 1 × 1 × 12, finds 1 × 12 × 64");
}

TEST(Builder, PatchesAndJoinedRows) {
  Builder b({}, {},
            {{"patch", DType::f32, {64, 48, 1}},
             {"positions", DType::f32, {9, 64, 1}},
             {"merge", DType::f32, {32, 256, 1}}});
  b.at_layer(3);
  PatchW w{{{1}, {}, 1, 64, 48}, {2}, 4, 3};
  const Act x = b.patch(w);
  EXPECT_EQ(x.cols, 64U);
  const Act pooled = b.resample(x, ResampleKind::average, 2);
  EXPECT_EQ(pooled.cols, 64U);
  EXPECT_EQ(fault([&] { b.norm(x, {}, NormKind::rms, 1e-5F); }),
            "Norm of layer 3 reads rows of before their number changed");
  const Act merged = b.resample(pooled, ResampleKind::merge, 2);
  EXPECT_EQ(merged.cols, 256U);
  EXPECT_EQ(b.linear(merged, {{3}, {}, 1, 32, 256}).cols, 32U);
  EXPECT_EQ(fault([&] { b.resample(merged, ResampleKind::merge, 0); }), "rows cannot be joined 0 × 0");
  w.size = 5;
  EXPECT_EQ(fault([&] { b.patch(w); }),
            "patches of layer 3 expects 'patch' as 1 × 64 × 75, finds 1 × 64 × 48");
  w.size = 4;
  w.positions = {3};
  EXPECT_EQ(fault([&] { b.patch(w); }),
            "positions of layer 3 expects 'merge' as 1 × 32 × 64, finds 1 × 32 × 256");
}

}  // namespace
}  // namespace hearth
