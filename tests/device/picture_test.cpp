// Pictures through Patch and Resample, against plain double arithmetic.
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "device/cost.h"
#include "device/split.h"
#include "rig.h"

namespace hearth {
namespace {

using Row = std::vector<double>;

// A picture with made-up pixels.
struct Canvas {
  uint32_t down, across, size, channels;
  std::vector<float> pixels;

  Canvas(uint32_t down_, uint32_t across_, uint32_t size_, uint32_t channels_)
      : down(down_), across(across_), size(size_), channels(channels_) {
    std::mt19937 random(down * 100 + across);
    std::normal_distribution<float> normal;
    pixels.resize(size_t{down} * across * size * size * channels);
    for (float& p : pixels) p = normal(random);
  }
  Picture picture() const { return {pixels, down, across}; }
  double at(uint32_t y, uint32_t x, uint32_t c) const {
    return static_cast<double>(pixels[(size_t{y} * across * size + x) * channels + c]);
  }
};

// Rows in grids, as they are somewhere in the program.
struct Grid {
  uint32_t down, across;
  Matrix rows;
};

Grid patches(const Canvas& canvas, const Matrix& w, const Row& bias, const Matrix& positions, double scale) {
  Grid g{canvas.down, canvas.across, {}};
  for (uint32_t py = 0; py < g.down; ++py) {
    for (uint32_t px = 0; px < g.across; ++px) {
      Row values;
      for (uint32_t c = 0; c < canvas.channels; ++c) {
        for (uint32_t y = 0; y < canvas.size; ++y) {
          for (uint32_t x = 0; x < canvas.size; ++x)
            values.push_back(canvas.at(py * canvas.size + y, px * canvas.size + x, c));
        }
      }
      Row row = times({values}, w)[0];
      for (size_t i = 0; i < row.size(); ++i) {
        row[i] = row[i] * scale + (bias.empty() ? 0 : bias[i]);
        if (!positions.empty()) row[i] += positions[g.rows.size()][i];
      }
      g.rows.push_back(std::move(row));
    }
  }
  return g;
}

Grid resampled(const Grid& g, ResampleKind kind, uint32_t factor) {
  Grid out{g.down / factor, g.across / factor, {}};
  for (uint32_t y = 0; y < out.down; ++y) {
    for (uint32_t x = 0; x < out.across; ++x) {
      Row row;
      for (uint32_t dy = 0; dy < factor; ++dy) {
        for (uint32_t dx = 0; dx < factor; ++dx) {
          const Row& part = g.rows[(y * factor + dy) * g.across + x * factor + dx];
          if (kind == ResampleKind::merge) {
            row.insert(row.end(), part.begin(), part.end());
            continue;
          }
          row.resize(part.size());
          for (size_t i = 0; i < part.size(); ++i) row[i] += part[i] / (factor * factor);
        }
      }
      out.rows.push_back(std::move(row));
    }
  }
  return out;
}

struct Case {
  std::string set;
  uint32_t threads;
  std::vector<std::pair<uint32_t, uint32_t>> grids;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const char* set : {"portable", "avx2", ""}) {
    for (const uint32_t threads : {1U, 3U, 7U}) {
      all.push_back({set, threads, {{4, 12}}});
      all.push_back({set, threads, {{4, 4}, {8, 12}, {12, 4}}});
    }
  }
  return all;
}

uint32_t rows_of(const std::vector<Canvas>& canvases) {
  uint32_t rows = 0;
  for (const Canvas& c : canvases) rows += c.down * c.across;
  return rows;
}

std::vector<Canvas> canvases_of(const Case& c, uint32_t size, uint32_t channels, Rig& rig) {
  std::vector<Canvas> canvases;
  for (const auto& [down, across] : c.grids) canvases.emplace_back(down, across, size, channels);
  for (const Canvas& canvas : canvases) rig.pictures.push_back(canvas.picture());
  return canvases;
}

void append(Matrix& all, const Matrix& some) { all.insert(all.end(), some.begin(), some.end()); }

TEST(Pictures, PatchesOfOddSizesWithAndWithoutPositions) {
  for (const Case& c : cases()) {
    for (const DType type : {DType::f32, DType::f16}) {
      for (const auto& [size, channels] : {std::pair{14U, 3U}, {3U, 1U}, {5U, 4U}}) {
        for (const bool full : {false, true}) {
          Rig rig(c.set, c.threads);
          const auto canvases = canvases_of(c, size, channels, rig);
          const Act x = rig.act(37);
          Patch patch{x, rig.weight(37, size * size * channels, 0.1F, 0, 1, type), {}, {}, size, channels, 1};
          if (full) {
            patch.bias = rig.weight(1, 37);
            patch.positions = rig.weight(100, 37, 1, 0, 1, type);
            patch.scale = 0.5F;
          }
          rig.push(patch);
          rig.push(Pool{x, PoolKind::none, {}, {}, 37});
          Matrix wanted;
          for (const Canvas& canvas : canvases) {
            append(wanted, patches(canvas, rig.matrix(patch.weight), full ? rig.matrix(patch.bias)[0] : Row{},
                                   full ? rig.matrix(patch.positions) : Matrix{}, full ? 0.5 : 1)
                               .rows);
          }
          SCOPED_TRACE(c.set + " threads " + std::to_string(c.threads) + " size " + std::to_string(size));
          expect_near(rig.run(rows_of(canvases)), wanted, 1e-4);
        }
      }
    }
  }
}

TEST(Pictures, RowsAreJoinedInTwoDimensions) {
  for (const Case& c : cases()) {
    for (const ResampleKind first : {ResampleKind::merge, ResampleKind::average}) {
      Rig rig(c.set, c.threads);
      const auto canvases = canvases_of(c, 4, 3, rig);
      const uint32_t joined = first == ResampleKind::merge ? 4 * 32 : 32;
      const Act x = rig.act(32), y = rig.act(joined), z = rig.act(joined), p = rig.act(32);
      const Weight w = rig.weight(32, 48, 0.2F), last = rig.weight(32, joined, 0.2F);
      rig.push(Patch{x, w, {}, {}, 4, 3, 1});
      rig.push(Resample{x, y, first, 2});
      rig.push(Resample{y, z, ResampleKind::average, 2});
      rig.push(Linear{z, p, last, {}, {}, Act1::none, 1, {}});
      rig.push(Pool{p, PoolKind::none, {}, {}, 32});
      Matrix wanted;
      for (const Canvas& canvas : canvases) {
        const Grid once = resampled(patches(canvas, rig.matrix(w), {}, {}, 1), first, 2);
        append(wanted, times(resampled(once, ResampleKind::average, 2).rows, rig.matrix(last)));
      }
      SCOPED_TRACE(c.set + " threads " + std::to_string(c.threads));
      expect_near(rig.run(rows_of(canvases)), wanted, 1e-4);
    }
  }
}

// Pictures of a step do not see one another, and each sees all of itself; the mean of a picture is that of
// its own rows, also of those that are left.
TEST(Pictures, EachIsComputedForItself) {
  for (const Case& c : cases()) {
    Matrix alone, together;
    const auto run = [&](const std::vector<std::pair<uint32_t, uint32_t>>& grids) {
      Rig rig(c.set, c.threads);
      const auto canvases = canvases_of({c.set, c.threads, grids}, 4, 3, rig);
      const HeadShape heads{2, 2, 32, 32};
      rig.program.caches = {{1, 2, 32, 32, 0}};
      rig.program.ropes = {RopeTable{}};
      const Act x = rig.act(64), q = rig.act(64), y = rig.act(64), z = rig.act(64), m = rig.act(256);
      Qkv qkv;
      rig.push(Patch{x, rig.weight(64, 48, 0.2F), {}, {}, 4, 3, 1});
      qkv.in = x;
      qkv.q = q;
      qkv.wq = rig.weight(64, 64, 0.2F);
      qkv.wk = rig.weight(64, 64, 0.2F);
      qkv.wv = rig.weight(64, 64, 0.2F);
      qkv.heads = heads;
      rig.push(qkv);
      rig.push(Attend{q, y, {}, {false, 0}, 0.2F, 0, heads, {}});
      rig.push(Linear{y, z, rig.weight(64, 64, 0.2F), {}, x, Act1::gelu, 1, {}});
      rig.push(Resample{z, m, ResampleKind::merge, 2});
      rig.push(Pool{m, PoolKind::mean, {}, {}, 256});
      return rig.run(rows_of(canvases));
    };
    for (const auto& grid : c.grids) append(alone, run({grid}));
    together = run(c.grids);
    SCOPED_TRACE(c.set + " threads " + std::to_string(c.threads));
    ASSERT_EQ(together.size(), c.grids.size());
    expect_near(together, alone, 1e-5);
  }
}

TEST(Pictures, WhatDoesNotFitIsRefusedWithItsNumbers) {
  const auto fault = [](uint32_t down, uint32_t across, bool short_of_pixels) {
    Rig rig("", 2);
    Canvas canvas(down, across, 4, 3);
    if (short_of_pixels) canvas.pixels.pop_back();
    rig.pictures = {canvas.picture()};
    const Act x = rig.act(32), y = rig.act(32);
    rig.push(Patch{x, rig.weight(32, 48), {}, rig.weight(24, 32), 4, 3, 1});
    rig.push(Resample{x, y, ResampleKind::average, 2});
    rig.push(Pool{y, PoolKind::none, {}, {}, 32});
    try {
      rig.run(down * across);
    } catch (const Error& e) {
      EXPECT_EQ(e.code, Code::bad_request);
      return e.message;
    }
    return std::string();
  };
  EXPECT_EQ(fault(4, 6, false), "");
  EXPECT_EQ(fault(4, 3, false), "4 × 3 rows cannot be joined 2 × 2");
  EXPECT_EQ(fault(4, 4, true), "a picture of 4 × 4 patches has 767 values, expected 768");
  EXPECT_EQ(fault(6, 6, false), "a picture has 36 patches, the model knows 24 positions");
}

// Behind a Resample the layout and the cost count the rows that are left.
TEST(Pictures, FewerRowsTakeLess) {
  Program p;
  p.acts = {{64}, {256}, {32}};
  p.weights = {{"patch", DType::f32, {64, 48, 1}}, {"merge", DType::f32, {32, 256, 1}}};
  p.ops = {Patch{{1, 64}, {1}, {}, {}, 4, 3, 1}, Resample{{1, 64}, {2, 256}, ResampleKind::merge, 2},
           Linear{{2, 256}, {3, 32}, {2}, {}, {}, Act1::none, 1, {}},
           Pool{{3, 32}, PoolKind::none, {}, {}, 32}};
  p.layer_of.assign(4, 0);
  const Layout layout = lay_out(p, 64);
  EXPECT_EQ(layout.peak, 2U * 64 * 64 * 4);  // 16 rows of 256 take as much as 64 of 64
  StepShape step;
  step.rows = 64;
  EXPECT_EQ(cost(p, step).flops, 2U * 64 * 64 * 48 + 2U * 16 * 32 * 256);
  EXPECT_EQ(kind_name(p.ops[0]), "Patch");
  EXPECT_EQ(kind_name(p.ops[1]), "Resample");
  const std::vector<uint32_t> one(4, 0), cut{0, 0, 1, 1}, before{0, 1, 1, 1};
  EXPECT_EQ(split(p, one, 1).segments.size(), 1U);
  EXPECT_EQ(split(p, before, 2).segments.size(), 2U);
  EXPECT_THROW(split(p, cut, 2), Error);
}

TEST(Pictures, TypesThatDoNotSuitTheColumnsAreRefused) {
  const auto device = open_cpu_device({"", 1, true});
  Program p;
  p.weights = {
      {"patch", DType::q8_0, {8, 588, 1}}, {"fits", DType::q8_0, {8, 768, 1}}, {"b", DType::f16, {1, 8, 1}}};
  const auto cause = [&](Weight w, Weight bias) {
    const auto refusal = device->refuse(Patch{{1, 8}, w, bias, {}, 14, 3, 1}, p, {});
    return refusal ? refusal->detail : std::string();
  };
  EXPECT_NE(cause({1}, {}).find("'patch' has rows of 588 values"), std::string::npos);
  EXPECT_EQ(cause({2}, {}), "");
  EXPECT_NE(cause({2}, {3}).find("'b' has type F16"), std::string::npos);
}

}  // namespace
}  // namespace hearth
