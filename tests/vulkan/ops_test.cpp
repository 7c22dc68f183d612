// Every operation against the CPU's float arithmetic, over odd sizes; both kinds of rows in each.
#include <algorithm>

#include "rig.h"

namespace hearth::vulkan {
namespace {

// Sums of a few thousand products in another order: some ulps of the largest value of a row.
constexpr double rounding = 2e-5;

std::vector<DType> weight_types() {
  std::vector<DType> types;
  for (const TypeInfo* t : all_types()) {
    if (t->decode != nullptr) types.push_back(t->type);
  }
  return types;
}

TEST(VulkanOps, NormsOfEveryKind) {
  for (const NormKind kind : {NormKind::layer, NormKind::rms}) {
    for (const uint32_t cols : {32U, 96U, 1056U}) {
      Rig rig;
      const Act x = rig.act(cols), y = rig.act(cols), z = rig.act(cols);
      rig.push(Embed{x, rig.weight(64, cols), 1.5F});
      rig.push(Norm{x, y, rig.weight(1, cols, DType::f32, 0.1F, 1), rig.weight(1, cols), kind, 1e-5F});
      rig.push(Norm{y, z, {}, {}, kind, 1e-6F});
      rig.push(Pool{z, PoolKind::none, {}, {}, cols});
      expect_same(rig, {one_sequence(37, 5)}, rounding);
    }
  }
}

TEST(VulkanOps, LinearWithEverything) {
  for (const Act1 act : {Act1::none, Act1::silu, Act1::gelu, Act1::gelu_tanh, Act1::relu, Act1::relu2}) {
    Rig rig;
    const Act x = rig.act(96), y = rig.act(96), z = rig.act(96), g = rig.act(77);
    rig.push(Embed{x, rig.weight(64, 96), 1});
    rig.push(Linear{x, y, rig.weight(96, 96, DType::f32, 0.1F), rig.weight(1, 96), x, act, 0.5F});
    rig.push(Combine{y, x, z, 3, -1});
    rig.push(Gated{z, g, rig.weight(77, 96, DType::f32, 0.1F), rig.weight(77, 96, DType::f16, 0.1F),
                   rig.weight(1, 77), rig.weight(1, 77), 0.75F, 1.25F, act});
    rig.push(Pool{g, PoolKind::none, {}, {}, 77});
    expect_same(rig, {one_sequence(70, 6)}, rounding);
  }
}

// Both kernels decode with the same function of the type, and compiling tiles is what takes time here: a few
// types of each make stand for all.
bool tiles_too(DType type) {
  constexpr DType some[] = {DType::f32,  DType::bf16, DType::q4_0, DType::q8_0,
                            DType::q4_k, DType::q6_k, DType::mxfp4};
  return std::find(std::begin(some), std::end(some), type) != std::end(some);
}

TEST(VulkanOps, ProductsOfEveryType) {
  for (const DType type : weight_types()) {
    SCOPED_TRACE(type_info(type).name);
    Rig rig;
    const uint32_t cols = 512;
    const Act x = rig.act(cols), y = rig.act(67);
    rig.push(Embed{x, rig.weight(64, cols), 1});
    rig.push(Linear{x, y, rig.weight(67, cols, type), {}, {}, Act1::none, 1});
    rig.push(Pool{y, PoolKind::none, {}, {}, 67});
    expect_same(rig, {tiles_too(type) ? one_sequence(40, 5) : one_sequence(7, 7)}, rounding);
    if (HasFatalFailure()) return;
  }
}

// A row of generation gives the same bits alone, beside others, and in any place.
TEST(VulkanOps, ExactRowsDoNotDependOnTheBatch) {
  for (const DType type : {DType::f32, DType::q4_k, DType::q8_0}) {
    Rig rig;
    const Act x = rig.act(512), y = rig.act(130), z = rig.act(64);
    rig.push(Embed{x, rig.weight(64, 512), 1});
    rig.push(Linear{x, y, rig.weight(130, 512, type), rig.weight(1, 130), {}, Act1::silu, 0.7F});
    rig.push(Gated{x, z, rig.weight(64, 512, type), rig.weight(64, 512, type), {}, {}, 1, 1, Act1::silu});
    rig.push(Pool{z, PoolKind::none, {}, {}, 64});
    const auto gpu = open_first();
    // The same token alone, and in a batch of seven sequences.
    const auto alone = rig.run(*gpu, {{{{0, 1, 3}}, 1, {}, 0}});
    Steps batch{{}, 7, {}, 0};
    for (uint32_t s = 0; s < 7; ++s) batch.slices.push_back({s, 1, s == 0 ? 3U : 20U + s});
    const auto beside = rig.run(*gpu, {batch});
    ASSERT_EQ(alone.size(), 1U);
    ASSERT_EQ(beside.size(), 7U);
    EXPECT_EQ(alone[0], beside[0]) << type_info(type).name;
  }
}

void check_attention(MaskSpec mask, float cap, HeadShape h, const std::vector<Steps>& steps, KvTypes kv,
                     double tolerance, bool norms = false, bool split = false, bool sinks = false,
                     bool two_pass = false, Device* gpu = nullptr) {
  Rig rig;
  constexpr uint32_t width = 64;
  rig.program.caches = {{1, 1, 8, 8, 0}, {2, h.kv_heads, h.k_size, h.v_size, mask.window}};
  RopeTable rope;
  rope.split = split;
  for (uint32_t i = 0; i < h.k_size / 4; ++i) rope.inv_freq.push_back(1.0F / static_cast<float>(1 + i));
  rope.magnitude = 1.1F;
  rig.program.ropes = {RopeTable{}, rope};
  const Act x = rig.act(width), q = rig.act(h.q_heads * h.k_size), y = rig.act(h.q_heads * h.v_size);
  rig.push(Embed{x, rig.weight(64, width), 1});
  Qkv o;
  o.in = x;
  o.q = q;
  o.wq = rig.weight(q.cols, width, DType::f32, 0.2F);
  o.wk = rig.weight(h.kv_heads * h.k_size, width, DType::f32, 0.2F);
  o.wv = rig.weight(h.kv_heads * h.v_size, width, DType::f16, 0.2F);
  o.bk = rig.weight(1, h.kv_heads * h.k_size);
  if (norms) {
    o.q_norm = rig.weight(1, h.k_size, DType::f32, 0.1F, 1);
    o.k_norm = rig.weight(1, h.k_size, DType::f32, 0.1F, 1);
    o.eps = 1e-5F;
  }
  o.rope = 1;
  o.kv = {1, 1};
  o.heads = h;
  rig.push(o);
  rig.push(Attend{q, y, {1, 1}, mask, 0.3F, cap, h, sinks ? rig.weight(1, h.q_heads) : Weight{}, two_pass});
  rig.push(Pool{y, PoolKind::none, {}, {}, y.cols});
  SCOPED_TRACE("heads " + std::to_string(h.q_heads) + "/" + std::to_string(h.kv_heads) + " sizes " +
               std::to_string(h.k_size) + "/" + std::to_string(h.v_size) + " window " +
               std::to_string(mask.window));
  gpu != nullptr ? expect_same(rig, *gpu, steps, tolerance, kv) : expect_same(rig, steps, tolerance, kv);
}

// Prompts of three sequences, then a step in which one generates and the others go on with their prompts.
std::vector<Steps> conversation(uint32_t rows) {
  return {{{{0, rows, 0}, {rows, 40, 0}, {rows + 40, 5, 0}}, std::min(rows, 5U), {}, 0},
          {{{0, 1, rows}, {1, 3, 40}, {4, 33, 5}}, 4, {}, 0}};
}

constexpr KvTypes floats{KvType::f32, KvType::f32};

TEST(VulkanOps, AttentionInTwoPasses) {
  const auto check = [](MaskSpec mask, float cap, HeadShape h, const std::vector<Steps>& steps, KvTypes kv,
                        double tolerance, bool sinks) {
    check_attention(mask, cap, h, steps, kv, tolerance, false, false, sinks, true);
  };
  check({true, 0}, 0, {4, 2, 32, 32}, conversation(70), floats, 1e-4, true);
  check({true, 10}, 2.5F, {6, 1, 48, 80}, {one_sequence(70, 3)}, floats, 1e-4, false);
  // Long enough that a running softmax would cut the row into chunks; then blocks in both caches.
  check({true, 0}, 0, {4, 2, 32, 32}, {one_sequence(300, 0), {{{0, 1, 300}}, 1, {}, 0}}, floats, 1e-4, false);
  check({true, 0}, 0, {2, 1, 64, 32}, conversation(40), {KvType::q8_0, KvType::q4_0}, 1e-3, false);
}

TEST(VulkanOps, AttentionInAllItsShapes) {
  check_attention({true, 0}, 0, {4, 2, 32, 32}, conversation(70), floats, 1e-4);
  check_attention({true, 10}, 0, {4, 4, 16, 16}, {one_sequence(70, 3)}, floats, 1e-4);
  check_attention({true, 0}, 2.5F, {6, 1, 48, 80}, {one_sequence(33, 1)}, floats, 1e-4, true, true);
  check_attention({false, 0}, 0, {2, 2, 64, 32}, {one_sequence(41, 7)}, floats, 1e-4);
  check_attention({true, 40}, 1.5F, {40, 2, 8, 24}, {one_sequence(70, 2)}, floats, 1e-4, false, true);
}

TEST(VulkanOps, AttentionOfLargeHeads) {
  check_attention({true, 0}, 0, {3, 1, 256, 136}, {one_sequence(37, 3)}, floats, 1e-4);
  check_attention({true, 0}, 0, {2, 2, 576, 512}, {one_sequence(35, 2)}, floats, 1e-4);
}

TEST(VulkanOps, AttentionWithSinks) {
  check_attention({true, 20}, 0, {6, 2, 32, 32}, {one_sequence(70, 5)}, floats, 1e-4, false, false, true);
  check_attention({true, 0}, 0, {6, 2, 32, 32}, {one_sequence(300, 0), {{{0, 1, 300}}, 1, {}, 0}}, floats,
                  1e-4, false, false, true);
}

// Long enough that a row's pages are cut into chunks.
TEST(VulkanOps, AttentionOverManyPages) {
  check_attention({true, 0}, 0, {4, 2, 32, 32}, {one_sequence(300, 0), {{{0, 1, 300}}, 1, {}, 0}}, floats,
                  1e-4);
  check_attention({true, 200}, 0, {4, 2, 32, 32}, {one_sequence(300, 0), {{{0, 1, 300}}, 1, {}, 0}}, floats,
                  1e-4);
}

// Rows that continue sequences, by the kernel that is theirs alone: few and many heads, sizes that leave
// threads idle, windows, caps, sinks, chunks, every type of cache.
TEST(VulkanOps, AttentionOfRowsBySubgroups) {
  Variants v = float_variants();
  if (!row_attention_fits(module().driver(0)->gpu.capabilities()))
    GTEST_SKIP() << "the driver has no subgroup arithmetic of a fixed size";
  v.row_attention = true;
  const auto gpu = open_variants(v);
  EXPECT_NE(gpu->info().variants.find("by subgroups for generation"), std::string::npos);
  const auto check = [&](MaskSpec mask, float cap, HeadShape h, const std::vector<Steps>& steps, KvTypes kv,
                         double tolerance, bool sinks = false) {
    check_attention(mask, cap, h, steps, kv, tolerance, false, false, sinks, false, gpu.get());
  };
  check({true, 0}, 0, {8, 2, 128, 128}, conversation(70), floats, 1e-4);
  check({true, 10}, 2.5F, {6, 1, 48, 80}, {one_sequence(70, 3)}, floats, 1e-4, true);
  check({false, 0}, 0, {2, 2, 256, 136}, {one_sequence(41, 7)}, floats, 1e-4);
  check({true, 40}, 0, {40, 2, 8, 24}, {one_sequence(70, 5)}, floats, 1e-4);
  for (const uint32_t window : {0U, 200U}) {
    check({true, window}, 0, {4, 2, 32, 32}, {one_sequence(300, 0), {{{0, 1, 300}}, 1, {}, 0}}, floats, 1e-4);
  }
  for (const KvType type : {KvType::f16, KvType::q8_0, KvType::q4_0})
    check({true, 0}, 0, {2, 1, 64, 32}, conversation(40), {type, type}, 1e-3);
}

// One token after the other is the same commands again, at other places of the cache; a page more, or a chunk
// more, is not.
TEST(VulkanOps, StepsThatAreRepeated) {
  std::vector<Steps> steps{one_sequence(120, 0)};
  for (uint32_t n = 0; n < 12; ++n) steps.push_back({{{0, 1, 120 + n}}, 1, {}, 0});
  steps.push_back({{{0, 1, 131}, {1, 7, 0}}, 1, {}, 0});
  steps.push_back({{{0, 1, 132}}, 1, {}, 0});
  check_attention({true, 0}, 0, {4, 2, 32, 32}, steps, floats, 1e-4);
}

// One step of a narrow type may fall on either side: a key moves by a quantum, which the scale of the scores
// bounds.
TEST(VulkanOps, CacheTypes) {
  const KvType types[] = {KvType::f32, KvType::f16, KvType::q8_0, KvType::q4_0};
  for (const KvType k : types) {
    check_attention({true, 0}, 0, {2, 1, 64, 32}, conversation(40), {k, k}, k == KvType::f32 ? 1e-4 : 1e-3);
  }
  check_attention({true, 0}, 0, {2, 1, 64, 32}, {one_sequence(40, 3)}, {KvType::q8_0, KvType::f16}, 1e-3);
}

TEST(VulkanOps, MixtureOfExperts) {
  for (const bool before : {true, false}) {
    for (const DType type : {DType::f32, DType::q4_k}) {
      Rig rig;
      push_mixture(rig, type, before);
      expect_same(rig, {one_sequence(41, 5)}, rounding);
    }
  }
}

TEST(VulkanOps, ScoresOfWantedRows) {
  Rig rig;
  const Act x = rig.act(64);
  rig.push(Embed{x, rig.weight(64, 64), 1});
  rig.push(Logits{x, rig.weight(301, 64, DType::q8_0), rig.weight(1, 301), 0.5F, 3.0F});
  Steps steps = one_sequence(40, 3);
  steps.wanted = {0, 7, 39};
  expect_same(rig, {steps}, rounding);
}

TEST(VulkanOps, PoolingOfEveryKind) {
  for (const PoolKind kind : {PoolKind::mean, PoolKind::last}) {
    Rig rig;
    const Act x = rig.act(64);
    rig.push(Embed{x, rig.weight(64, 64), 1});
    rig.push(Pool{x, kind, {}, {}, 64});
    expect_same(rig, {{{{0, 3, 0}, {3, 40, 0}}, 3, {2, 42}, 0}}, rounding);
  }
  Rig rig;
  const Act x = rig.act(64);
  rig.push(Embed{x, rig.weight(64, 64), 1});
  rig.push(Pool{x, PoolKind::rank, rig.weight(3, 64), rig.weight(1, 3), 3});
  expect_same(rig, {{{{0, 40, 0}}, 0, {39}, 0}}, rounding);
}

// Never "maybe slowly elsewhere": the plan gives these to the CPU and says why.
TEST(VulkanOps, WhatHasNoShaderIsRefused) {
  const auto gpu = open_first();
  Program p;
  p.weights = {{"w", DType::f32, {64, 64, 1}}, {"b", DType::f32, {1, 64, 1}}};
  p.caches = {{1, 1, 72, 0, 0}, {1, 1, 64, 64, 0}};
  const auto cause = [&](const Op& op) {
    const auto refusal = gpu->refuse(op, p, {});
    return refusal ? refusal->detail : std::string();
  };
  const auto refused = [&](const Op& op, const char* what) {
    EXPECT_NE(cause(op).find(std::string("there is no shader for ") + what), std::string::npos) << cause(op);
  };
  const HeadShape heads{1, 1, 64, 64};
  refused(QkvLatent{}, "latent attention");
  refused(Attend{{}, {}, {0, 0}, {}, 1, 0, heads, {}}, "latent attention");
  EXPECT_EQ(cause(Attend{{}, {}, {1, 0}, {}, 1, 0, heads, {}}), "");
  refused(Linear{{1, 64}, {2, 64}, {1}, {}, {}, Act1::none, 1, {1, 64, 0, 64}},
          "products with one matrix per head");
  EXPECT_EQ(cause(Linear{{1, 64}, {2, 64}, {1}, {}, {}, Act1::none, 1, {}}), "");
  Route route{{1, 64}, {2, 4}, {1}, 64, 2};
  EXPECT_EQ(cause(route), "");
  route.bias = {2};
  refused(route, "routers with a bias or groups");
  route.bias = {};
  route.groups = 4;
  refused(route, "routers with a bias or groups");
  route.groups = 1;
  route.scores = RouteScores::sigmoid;
  refused(route, "routers with sigmoid scores");
  refused(Patch{}, "patches of pictures");
  refused(Resample{}, "joining rows of pictures");
}

}  // namespace
}  // namespace hearth::vulkan
