// Operations that carry a state against naive double arithmetic: in one step, in pieces, and several
// sequences together, whose states lie in another order than the sequences.
#include <gtest/gtest.h>

#include <cmath>

#include "device/cost.h"
#include "rig.h"

namespace hearth {
namespace {

struct Way {
  std::string set;
  uint32_t threads;
};
const std::vector<Way> ways{{"portable", 1}, {"", 1}, {"", 3}};

// The first rows of a sequence, however they are divided, are those of the whole.
void expect_in_every_division(Rig& rig, const Matrix& wanted, double tolerance) {
  const auto rows = static_cast<uint32_t>(wanted.size());
  expect_near(rig.run(rows), wanted, tolerance);
  const std::vector<std::vector<std::vector<uint32_t>>> divisions{
      {{1}, {1}, {2}, {rows - 4}},
      {{rows, 3, 1}, {0, 1, rows - 1}, {0, rows - 4, 0}},
      {{2, rows - 1}, {rows - 2, 1}},
  };
  for (const auto& division : divisions) {
    for (const Matrix& m : rig.run_steps(division)) expect_near(m, wanted, tolerance);
  }
}

double silu(double x) { return x / (1 + std::exp(-x)); }

struct Convolution {
  uint32_t taps, width, cols, at;
  std::optional<uint32_t> pre, post;
  bool bias;
  Act1 act;
};

void check_convolution(const Way& way, const Convolution& c) {
  Rig rig(way.set, way.threads);
  constexpr uint32_t rows = 23;
  rig.program.caches = {{2, 1, 8, 8, 0}, {3, 0, 0, 0, 0, uint64_t{c.taps - 1} * c.cols}};
  const Act x = rig.act(c.width), y = rig.act(c.cols);
  const Weight table = rig.weight(rows, c.width), kernel = rig.weight(c.cols, c.taps),
               bias = c.bias ? rig.weight(1, c.cols) : Weight{};
  rig.push(Embed{x, table, 1});
  rig.push(ShortConv{x, y, kernel, bias, c.at, c.pre, c.post, c.act, {1, 2}});
  rig.push(Pool{y, PoolKind::none, {}, {}, c.cols});
  const Matrix in = rig.matrix(table), k = rig.matrix(kernel);
  Matrix wanted(rows, std::vector<double>(c.cols));
  for (uint32_t t = 0; t < rows; ++t) {
    for (uint32_t i = 0; i < c.cols; ++i) {
      double sum = c.bias ? rig.matrix(bias)[0][i] : 0;
      for (uint32_t tap = 0; tap < c.taps; ++tap) {
        if (t + tap + 1 < c.taps) continue;
        const auto& row = in[t + tap + 1 - c.taps];
        sum += k[i][tap] * row[c.at + i] * (c.pre ? row[*c.pre + i] : 1);
      }
      wanted[t][i] = (c.act == Act1::silu ? silu(sum) : sum) * (c.post ? in[t][*c.post + i] : 1);
    }
  }
  expect_in_every_division(rig, wanted, 1e-5);
}

TEST(CarriedOperations, ShortConvWithAllThatGoesWithIt) {
  for (const Way& way : ways) {
    check_convolution(way, {3, 96, 32, 64, 0, 32, false, Act1::none});
    check_convolution(way, {4, 160, 101, 3, std::nullopt, std::nullopt, true, Act1::silu});
    check_convolution(way, {2, 64, 7, 57, std::nullopt, 9, true, Act1::none});
    check_convolution(way, {16, 64, 33, 0, 31, std::nullopt, false, Act1::silu});
  }
}

struct Scanning {
  uint32_t heads, size, groups, states, low;  // low: columns of a projected time step; 0: no projection
  bool each_state;                            // a number of its own for every state
};

void check_scan(const Way& way, const Scanning& c) {
  Rig rig(way.set, way.threads);
  constexpr uint32_t rows = 19;
  const uint32_t cols = c.heads * c.size, shared = c.groups * c.states;
  rig.program.caches = {{2, 0, 0, 0, 0, uint64_t{cols} * c.states}};
  const uint32_t width = (2 * cols + 2 * shared + std::max(c.low, c.heads) + 4 + 31) / 32 * 32;
  const Act in = rig.act(width), y = rig.act(cols);
  const Weight table = rig.weight(rows, width);
  Scan o;
  o.x = {in, 3};
  o.gate = {in, 3 + cols};
  o.b = {in, 3 + 2 * cols};
  o.c = {in, 3 + 2 * cols + shared};
  o.step = {in, 3 + 2 * cols + 2 * shared};
  o.out = y;
  if (c.low != 0) o.project = rig.weight(c.heads, c.low, 0.3F, 0, 1, DType::f16);
  o.step_bias = rig.weight(1, c.heads);
  o.a = rig.weight(c.heads, c.each_state ? c.states : 1, 0.3F, -1);
  o.skip = rig.weight(1, c.heads);
  o.heads = c.heads;
  o.size = c.size;
  o.groups = c.groups;
  o.states = c.states;
  o.each_state = c.each_state;
  o.state = {0, 1};
  rig.push(Embed{in, table, 1});
  rig.push(o);
  rig.push(Pool{y, PoolKind::none, {}, {}, cols});
  const Matrix v = rig.matrix(table), a = rig.matrix(o.a), bias = rig.matrix(o.step_bias),
               skip = rig.matrix(o.skip);
  const Matrix project = c.low != 0 ? rig.matrix(o.project) : Matrix{};
  Matrix wanted(rows, std::vector<double>(cols)), state(cols, std::vector<double>(c.states));
  for (uint32_t t = 0; t < rows; ++t) {
    for (uint32_t i = 0; i < cols; ++i) {
      const uint32_t h = i / c.size, g = h / (c.heads / c.groups) * c.states;
      double step = bias[0][h] + (c.low == 0 ? v[t][o.step.at + h] : 0);
      for (uint32_t k = 0; k < c.low; ++k) step += project[h][k] * v[t][o.step.at + k];
      const double time = std::log1p(std::exp(step)), x = v[t][o.x.at + i];
      double sum = skip[0][h] * x;
      for (uint32_t n = 0; n < c.states; ++n) {
        double& s = state[i][n];
        s = s * std::exp(time * a[h][c.each_state ? n : 0]) + time * x * v[t][o.b.at + g + n];
        sum += s * v[t][o.c.at + g + n];
      }
      wanted[t][i] = sum * silu(v[t][o.gate.at + i]);
    }
  }
  expect_in_every_division(rig, wanted, 2e-5);
}

TEST(CarriedOperations, ScanOfChannelsAndOfHeads) {
  for (const Way& way : ways) {
    check_scan(way, {70, 1, 1, 16, 12, true});
    check_scan(way, {9, 1, 1, 5, 0, true});
    check_scan(way, {6, 8, 3, 24, 0, false});
    check_scan(way, {4, 5, 1, 33, 7, false});
    check_scan(way, {70, 1, 2, 16, 0, false});  // one channel each, not all with the same b and c
    check_scan(way, {70, 1, 1, 16, 0, false});
  }
}

struct Remembering {
  uint32_t heads, key_heads, size;
  bool turns;
};

// Of one token and head: what the state says of the query, and the state brought forward.
std::vector<double> remember(Matrix& state, std::vector<double> k, std::vector<double> q,
                             const std::vector<double>& v, double decay, double rate) {
  const auto normalise = [](std::vector<double>& x, double factor) {
    double squares = 0;
    for (const double value : x) squares += value * value;
    for (double& value : x) value *= factor / std::sqrt(squares);
  };
  const size_t size = k.size();
  normalise(k, 1);
  normalise(q, 1 / std::sqrt(static_cast<double>(size)));
  std::vector<double> out(size, 0.0);
  for (size_t i = 0; i < size; ++i) {
    double known = 0;
    for (size_t j = 0; j < size; ++j) known += decay * state[i][j] * k[j];
    for (size_t j = 0; j < size; ++j) {
      state[i][j] = decay * state[i][j] + rate * (v[i] - known) * k[j];
      out[i] += state[i][j] * q[j];
    }
  }
  return out;
}

void check_delta(const Way& way, const Remembering& c) {
  Rig rig(way.set, way.threads);
  constexpr uint32_t rows = 17;
  const uint32_t cols = c.heads * c.size, keys = c.key_heads * c.size;
  rig.program.caches = {{2, 0, 0, 0, 0, uint64_t{cols} * c.size}};
  const uint32_t width = (2 * keys + 2 * cols + 2 * c.heads + 5 + 31) / 32 * 32;
  const Act in = rig.act(width), y = rig.act(cols);
  const Weight table = rig.weight(rows, width);
  Delta o;
  o.q = {in, 5};
  o.k = {in, 5 + keys};
  o.v = {in, 5 + 2 * keys};
  o.gate = {in, 5 + 2 * keys + cols};
  o.alpha = {in, 5 + 2 * keys + 2 * cols};
  o.beta = {in, 5 + 2 * keys + 2 * cols + c.heads};
  o.out = y;
  o.alpha_bias = rig.weight(1, c.heads);
  o.a = rig.weight(1, c.heads, 0.3F, -1);
  o.gain = rig.weight(1, c.size, 0.1F, 1);
  o.heads = c.heads;
  o.key_heads = c.key_heads;
  o.size = c.size;
  o.turns = c.turns;
  o.eps = 1e-6F;
  o.state = {0, 1};
  rig.push(Embed{in, table, 1});
  rig.push(o);
  rig.push(Pool{y, PoolKind::none, {}, {}, cols});
  const Matrix all = rig.matrix(table), gain = rig.matrix(o.gain);
  Matrix wanted(rows);
  std::vector<Matrix> state(c.heads, Matrix(c.size, std::vector<double>(c.size)));
  for (uint32_t t = 0; t < rows; ++t) {
    for (uint32_t h = 0; h < c.heads; ++h) {
      const auto part = [&](const Columns& from, uint32_t head) {
        const auto at = all[t].begin() + from.at + head * c.size;
        return std::vector<double>(at, at + c.size);
      };
      const uint32_t key = c.turns ? h % c.key_heads : h / (c.heads / c.key_heads);
      const double time = std::log1p(std::exp(all[t][o.alpha.at + h] + rig.matrix(o.alpha_bias)[0][h]));
      const double rate = 1 / (1 + std::exp(-all[t][o.beta.at + h]));
      auto out = remember(state[h], part(o.k, key), part(o.q, key), part(o.v, h),
                          std::exp(rig.matrix(o.a)[0][h] * time), rate);
      double squares = 0;
      for (const double v : out) squares += v * v / c.size;
      const auto gate = part(o.gate, h);
      for (uint32_t i = 0; i < c.size; ++i)
        wanted[t].push_back(out[i] / std::sqrt(squares + 1e-6) * gain[0][i] * silu(gate[i]));
    }
  }
  expect_in_every_division(rig, wanted, 5e-5);
}

TEST(CarriedOperations, DeltaWithSharedKeys) {
  for (const Way& way : ways) {
    check_delta(way, {4, 2, 32, true});
    check_delta(way, {6, 2, 17, false});
    check_delta(way, {5, 5, 8, false});
  }
}

TEST(CarriedOperations, ShiftInSeveralMixes) {
  for (const Way& way : ways) {
    for (const uint32_t cols : {32U, 96U, 160U}) {
      Rig rig(way.set, way.threads);
      constexpr uint32_t rows = 21, mixes = 3;
      rig.program.caches = {{2, 1, 8, 8, 0}, {2, 0, 0, 0, 0, cols}};
      const Act x = rig.act(cols), y = rig.act(mixes * cols);
      const Weight table = rig.weight(rows, cols), mix = rig.weight(mixes, cols);
      rig.push(Embed{x, table, 1});
      rig.push(Shift{x, y, mix, {1, 1}});
      rig.push(Pool{y, PoolKind::none, {}, {}, y.cols});
      const Matrix in = rig.matrix(table), m = rig.matrix(mix);
      Matrix wanted(rows);
      for (uint32_t t = 0; t < rows; ++t) {
        for (uint32_t i = 0; i < mixes * cols; ++i) {
          const double now = in[t][i % cols], before = t == 0 ? 0 : in[t - 1][i % cols];
          wanted[t].push_back((1 - m[i / cols][i % cols]) * now + m[i / cols][i % cols] * before);
        }
      }
      expect_in_every_division(rig, wanted, 1e-5);
    }
  }
}

TEST(CarriedOperations, NormsOfParts) {
  for (const Way& way : ways) {
    for (const NormKind kind : {NormKind::rms, NormKind::layer}) {
      Rig rig(way.set, way.threads);
      const Act x = rig.act(96), y = rig.act(96);
      const Weight table = rig.weight(40, 96), gain = rig.weight(1, 96, 0.1F, 1), bias = rig.weight(1, 96);
      rig.push(Embed{x, table, 1});
      rig.push(Norm{x, y, gain, bias, kind, 1e-5F, 3});
      rig.push(Pool{y, PoolKind::none, {}, {}, 96});
      const Matrix in = rig.matrix(table);
      Matrix wanted(37, std::vector<double>(96));
      for (size_t r = 0; r < 37; ++r) {
        for (size_t part = 0; part < 96; part += 32) {
          double mean = 0, square = 0;
          for (size_t i = 0; i < 32; ++i) mean += kind == NormKind::layer ? in[r][part + i] / 32 : 0;
          for (size_t i = 0; i < 32; ++i) square += std::pow(in[r][part + i] - mean, 2) / 32;
          for (size_t i = part; i < part + 32; ++i)
            wanted[r][i] = (in[r][i] - mean) / std::sqrt(square + 1e-5) * rig.matrix(gain)[0][i] +
                           rig.matrix(bias)[0][i];
        }
      }
      expect_near(rig.run(37), wanted, 1e-5);
    }
  }
}

TEST(CarriedOperations, AStateCountsAsBytesOfItsSequences) {
  Program p;
  p.caches = {{4, 0, 0, 0, 0, 200}};
  p.weights = {{"kernel", DType::f32, {100, 3, 1}}};
  const Op op = ShortConv{{1, 100}, {2, 100}, {1}, {}, 0, {}, {}, Act1::none, {0, 3}};
  StepShape step;
  step.rows = 7;
  step.sequences = 5;
  const Cost c = cost(op, step, p);
  EXPECT_EQ(c.bytes, 100U * 3 * 4 + 5U * 2 * 200 * 4);
  EXPECT_EQ(c.flops, 7U * 100 * 3 * 2);
}

TEST(CarriedOperations, TooManyTapsAndOtherTypesAreRefused) {
  const auto device = open_cpu_device({"", 1, true});
  Program p;
  p.weights = {{"conv", DType::f32, {8, 17, 1}}, {"half", DType::f16, {8, 4, 1}}};
  const auto wide = device->refuse(ShortConv{{1, 8}, {2, 8}, {1}, {}, 0, {}, {}, Act1::none, {}}, p, {});
  ASSERT_TRUE(wide);
  EXPECT_EQ(wide->detail, "a convolution over 17 tokens, 16 at most");
  const auto half = device->refuse(ShortConv{{1, 8}, {2, 8}, {2}, {}, 0, {}, {}, Act1::none, {}}, p, {});
  ASSERT_TRUE(half);
  EXPECT_NE(half->detail.find("'half' has type F16"), std::string::npos) << half->detail;
}

}  // namespace
}  // namespace hearth
