// Operations against naive double arithmetic, through small programs made by hand.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>

#include "rig.h"

namespace hearth {
namespace {

const std::vector<std::string> sets{"portable", ""};

TEST(Operations, LayerNormAndRmsNormWithBias) {
  for (const std::string& set : sets) {
    for (const NormKind kind : {NormKind::layer, NormKind::rms}) {
      Rig rig(set);
      const Act x = rig.act(96), y = rig.act(96);
      const Weight table = rig.weight(40, 96), gain = rig.weight(1, 96, 0.1F, 1),
                   bias = rig.weight(1, 96, 0.1F);
      rig.push(Embed{x, table, 1});
      rig.push(Norm{x, y, gain, bias, kind, 1e-5F});
      rig.push(Pool{y, PoolKind::none, {}, {}, 96});
      const Matrix in = rig.matrix(table), g = rig.matrix(gain), b = rig.matrix(bias);
      Matrix wanted(37, std::vector<double>(96));
      for (size_t r = 0; r < 37; ++r) {
        double mean = 0, square = 0;
        for (const double v : in[r]) mean += kind == NormKind::layer ? v / 96 : 0;
        for (const double v : in[r]) square += (v - mean) * (v - mean) / 96;
        for (size_t c = 0; c < 96; ++c)
          wanted[r][c] = (in[r][c] - mean) / std::sqrt(square + 1e-5) * g[0][c] + b[0][c];
      }
      expect_near(rig.run(37), wanted, 1e-5);
    }
  }
}

TEST(Operations, LinearWithBiasActivationScaleAndResidual) {
  for (const std::string& set : sets) {
    Rig rig(set);
    const Act x = rig.act(64), y = rig.act(64), z = rig.act(64);
    const Weight table = rig.weight(50, 64), w = rig.weight(64, 64, 0.125F), bias = rig.weight(1, 64);
    rig.push(Embed{x, table, 2});
    rig.push(Linear{x, y, w, bias, x, Act1::gelu, 0.5F});
    rig.push(Combine{y, x, z, 3, -1});
    rig.push(Pool{z, PoolKind::none, {}, {}, 64});
    const Matrix in = rig.matrix(table), b = rig.matrix(bias);
    Matrix doubled(41, std::vector<double>(64));
    for (size_t r = 0; r < 41; ++r) {
      for (size_t c = 0; c < 64; ++c) doubled[r][c] = 2 * in[r][c];
    }
    Matrix wanted = times(doubled, rig.matrix(w));
    for (size_t r = 0; r < 41; ++r) {
      for (size_t c = 0; c < 64; ++c) {
        const double v = 0.5 * wanted[r][c] + b[0][c];
        const double y_value = 0.5 * v * (1 + std::erf(v / std::sqrt(2.0))) + doubled[r][c];
        wanted[r][c] = 3 * y_value - doubled[r][c];
      }
    }
    expect_near(rig.run(41), wanted, 2e-5);
  }
}

// Softmax attention of one row as the paper has it.
std::vector<double> attention(const std::vector<double>& q, const Matrix& k, const Matrix& v, size_t own,
                              const Attend& o, size_t q_at, size_t kv_at_k, size_t kv_at_v, double sink) {
  std::vector<double> scores, out(o.heads.v_size, 0.0);
  double total = sink;
  for (size_t t = 0; t < k.size(); ++t) {
    const bool hidden = (o.mask.causal && t > own) || (o.mask.window != 0 && t + o.mask.window <= own);
    double s = 0;
    for (size_t d = 0; d < o.heads.k_size; ++d) s += q[q_at + d] * k[t][kv_at_k + d];
    s *= static_cast<double>(o.scale);
    const auto cap = static_cast<double>(o.soft_cap);
    if (cap > 0) s = cap * std::tanh(s / cap);
    scores.push_back(hidden ? 0 : std::exp(s));
    total += scores.back();
  }
  for (size_t t = 0; t < k.size(); ++t) {
    for (size_t d = 0; d < o.heads.v_size; ++d) out[d] += scores[t] / total * v[t][kv_at_v + d];
  }
  return out;
}

void check_attention(const std::string& set, MaskSpec mask, float soft_cap, uint32_t rows, HeadShape heads,
                     bool sinks = false, bool two_pass = false, bool gated = false) {
  Rig rig(set);
  constexpr uint32_t width = 64;
  rig.program.caches = {{1, heads.kv_heads, heads.k_size, heads.v_size, 0}};
  rig.program.ropes = {RopeTable{}};                     // no rotation
  const uint32_t each = heads.k_size * (gated ? 2 : 1);  // columns of a head's query, and of its gate
  const Act x = rig.act(width), q = rig.act(heads.q_heads * each), y = rig.act(heads.q_heads * heads.v_size);
  const Weight table = rig.weight(rows, width);
  Qkv qkv;
  qkv.in = x;
  qkv.q = q;
  qkv.wq = rig.weight(q.cols, width, 0.2F);
  qkv.wk = rig.weight(heads.kv_heads * heads.k_size, width, 0.2F);
  qkv.wv = rig.weight(heads.kv_heads * heads.v_size, width, 0.2F);
  qkv.heads = heads;
  qkv.gated = gated;
  Attend attend{q, y, {}, mask, 0.3F, soft_cap, heads, {}, two_pass, gated};
  if (sinks) attend.sinks = rig.weight(1, heads.q_heads, 2, 1);
  rig.push(Embed{x, table, 1});
  rig.push(qkv);
  rig.push(attend);
  rig.push(Pool{y, PoolKind::none, {}, {}, y.cols});
  const Matrix in = rig.matrix(table);
  const Matrix qs = times(in, rig.matrix(qkv.wq)), ks = times(in, rig.matrix(qkv.wk)),
               vs = times(in, rig.matrix(qkv.wv));
  Matrix wanted(rows);
  for (size_t r = 0; r < rows; ++r) {
    for (size_t h = 0; h < heads.q_heads; ++h) {
      const size_t group = h / (heads.q_heads / heads.kv_heads);
      auto part = attention(qs[r], ks, vs, r, attend, h * each, group * heads.k_size, group * heads.v_size,
                            sinks ? std::exp(rig.matrix(attend.sinks)[0][h]) : 0);
      for (size_t i = 0; gated && i < part.size(); ++i)
        part[i] /= 1 + std::exp(-qs[r][h * each + heads.k_size + i]);
      wanted[r].insert(wanted[r].end(), part.begin(), part.end());
    }
  }
  expect_near(rig.run(rows), wanted, 1e-4);
}

TEST(Operations, AttentionInAllItsShapes) {
  for (const std::string& set : sets) {
    for (const uint32_t rows : {1U, 7U, 33U, 70U}) {
      check_attention(set, {true, 0}, 0, rows, {4, 2, 32, 32});
      check_attention(set, {true, 10}, 0, rows, {4, 4, 16, 16});
      check_attention(set, {true, 0}, 2.5F, rows, {6, 1, 48, 48});
      check_attention(set, {false, 0}, 0, rows, {2, 2, 64, 32});
      check_attention(set, {true, 40}, 1.5F, rows, {40, 2, 8, 24});
      check_attention(set, {true, 9}, 0, rows, {4, 2, 32, 32}, true);
    }
  }
}

TEST(Operations, AttentionThroughGates) {
  for (const std::string& set : sets) {
    for (const bool two_pass : {false, true}) {
      check_attention(set, {true, 0}, 0, 75, {4, 2, 16, 16}, false, two_pass, true);
      check_attention(set, {true, 0}, 0, 40, {3, 1, 24, 24}, false, two_pass, true);
    }
  }
}

TEST(Operations, AttentionInTwoPasses) {
  for (const std::string& set : sets) {
    for (const uint32_t rows : {1U, 7U, 33U, 70U}) {
      check_attention(set, {true, 0}, 0, rows, {4, 2, 32, 32}, false, true);
      check_attention(set, {true, 10}, 2.5F, rows, {6, 1, 48, 48}, false, true);
      check_attention(set, {false, 0}, 0, rows, {2, 2, 64, 32}, false, true);
      check_attention(set, {true, 9}, 0, rows, {4, 2, 32, 32}, true, true);
    }
  }
}

TEST(Operations, PoolSumsASequence) {
  for (const std::string& set : sets) {
    Rig rig(set);
    const Act x = rig.act(32);
    const Weight table = rig.weight(45, 32);
    rig.push(Embed{x, table, 1});
    rig.push(Pool{x, PoolKind::mean, {}, {}, 32});
    const Matrix in = rig.matrix(table);
    Matrix wanted(1, std::vector<double>(32, 0));
    for (size_t r = 0; r < 45; ++r) {
      for (size_t c = 0; c < 32; ++c) wanted[0][c] += in[r][c];
    }
    expect_near(rig.run(45), wanted, 1e-5);
  }
}

TEST(CpuDevice, SharesOutEveryPieceOnce) {
  for (const uint32_t threads : {1U, 2U, 3U}) {
    const auto device = open_cpu_device({"portable", threads, true});
    for (const uint32_t count : {0U, 1U, 2U, 7U, 100U}) {
      std::vector<std::atomic<uint32_t>> times(count);
      device->share_out(count, [&](uint32_t i) { ++times[i]; });
      for (const auto& n : times) EXPECT_EQ(n.load(), 1U);
    }
  }
}

TEST(Operations, AnythingTheDeviceCannotDoHasACause) {
  const auto device = open_cpu_device({"", 1, false});
  Program p;
  p.weights = {{"odd.weight", DType::f32, {8, 40, 1}},
               {"half.bias", DType::f16, {1, 8, 1}},
               {"ok", DType::f32, {8, 64, 1}}};
  const auto cause = [&](const Op& op, KvTypes kv = {}) {
    const auto refusal = device->refuse(op, p, kv);
    return refusal ? refusal->detail : std::string();
  };
  EXPECT_NE(cause(Linear{{1, 40}, {2, 8}, {1}, {}, {}, Act1::none, 1}).find("40 columns"), std::string::npos);
  EXPECT_NE(cause(Linear{{1, 64}, {2, 8}, {3}, {2}, {}, Act1::none, 1}).find("half.bias"), std::string::npos);
  EXPECT_EQ(cause(Linear{{1, 64}, {2, 8}, {3}, {}, {}, Act1::none, 1}), "");
  Qkv qkv;
  qkv.wq = qkv.wk = qkv.wv = {3};
  qkv.heads = {1, 1, 48, 48};
  EXPECT_NE(cause(qkv, {KvType::q8_0, KvType::f16}).find("multiple of 32"), std::string::npos);
  EXPECT_EQ(cause(qkv, {KvType::f16, KvType::f16}), "");
}

}  // namespace
}  // namespace hearth
