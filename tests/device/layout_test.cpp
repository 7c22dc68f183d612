#include "device/layout.h"

#include <gtest/gtest.h>

#include <random>

#include "base/checked.h"

namespace hearth {
namespace {

// A program in the shape of a transformer: residual stream, attention, gated feed-forward.
Program decoder(uint32_t layers, uint32_t width, uint32_t ffn) {
  Program p;
  const auto act = [&](uint32_t cols) {
    p.acts.push_back({cols});
    return Act{static_cast<uint32_t>(p.acts.size()), cols};
  };
  const auto push = [&](Op op) {
    p.ops.push_back(op);
    p.layer_of.push_back(0);
  };
  Act x = act(width);
  push(Embed{x, {1}, 1});
  for (uint32_t i = 0; i < layers; ++i) {
    const Act n = act(width), q = act(width), a = act(width);
    push(Norm{x, n, {1}, {}, NormKind::rms, 1e-6F});
    Qkv qkv;
    qkv.in = n;
    qkv.q = q;
    push(qkv);
    Attend attend;
    attend.q = q;
    attend.out = a;
    push(attend);
    const Act y = act(width);
    push(Linear{a, y, {1}, {}, x, Act1::none, 1});
    const Act m = act(width), g = act(ffn), z = act(width);
    push(Norm{y, m, {1}, {}, NormKind::rms, 1e-6F});
    Gated gated;
    gated.in = m;
    gated.out = g;
    push(gated);
    push(Linear{g, z, {1}, {}, y, Act1::none, 1});
    x = z;
  }
  push(Logits{x, {1}, {}, 1, 0});
  return p;
}

TEST(Layout, PeakForA17BPromptIsBelow64MiB) {
  // 28 layers, width 2048, ffn 6144, 512 rows: the third proof of the design.
  const Layout layout = lay_out(decoder(28, 2048, 6144), 512);
  EXPECT_LT(layout.peak, 64ULL << 20);
  // At the widest point live: residual, norm, hidden.
  EXPECT_EQ(layout.peak, 512ULL * 4 * (2048 + 2048 + 6144));
}

TEST(Layout, PeakDoesNotGrowWithLayers) {
  EXPECT_EQ(lay_out(decoder(2, 256, 512), 64).peak, lay_out(decoder(60, 256, 512), 64).peak);
}

TEST(Layout, ResidualIsUpdatedInPlace) {
  const Program p = decoder(1, 256, 512);
  const Layout layout = lay_out(p, 8);
  const auto& out = std::get<Linear>(p.ops[4]);
  EXPECT_EQ(layout.offset[out.out.id - 1], layout.offset[out.residual.id - 1]);
}

// Random chains: no two activations that are alive together may overlap.
TEST(Layout, LiveActivationsNeverOverlap) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    Program p;
    std::vector<Act> made;
    const auto n = static_cast<uint32_t>(3 + random() % 20);
    for (uint32_t i = 0; i < n; ++i) {
      p.acts.push_back({static_cast<uint32_t>(1 + random() % 300)});
      const Act out{i + 1, p.acts.back().cols};
      if (i == 0) {
        p.ops.push_back(Embed{out, {1}, 1});
      } else {
        Combine c;
        c.in = made[random() % made.size()];
        c.other = made[random() % made.size()];
        c.out = out;
        p.ops.push_back(c);
      }
      made.push_back(out);
    }
    const Layout layout = lay_out(p, 5);
    std::vector<uint32_t> last(n, 0), born(n, 0);
    for (uint32_t i = 0; i < n; ++i) {
      const Operands o = operands(p.ops[i]);
      born[o.out.id - 1] = i;
      last[o.out.id - 1] = std::max(last[o.out.id - 1], i);
      for (const Act& in : o.in) {
        if (in) last[in.id - 1] = i;
      }
    }
    for (uint32_t a = 0; a < n; ++a) {
      const uint64_t end = layout.offset[a] + align_up(5ULL * p.acts[a].cols * 4, 64);
      EXPECT_LE(end, layout.peak);
      for (uint32_t b = a + 1; b < n; ++b) {
        const bool together = born[b] <= last[a] && born[a] <= last[b];
        const bool handed_over = born[b] == last[a];  // b took a's place
        const bool apart = layout.offset[b] >= end ||
                           layout.offset[b] + align_up(5ULL * p.acts[b].cols * 4, 64) <= layout.offset[a];
        if (together && !handed_over) {
          EXPECT_TRUE(apart) << a << " and " << b;
        }
        if (handed_over && layout.offset[a] == layout.offset[b]) {
          EXPECT_EQ(p.acts[a].cols, p.acts[b].cols);
        }
      }
    }
  }
}

}  // namespace
}  // namespace hearth
