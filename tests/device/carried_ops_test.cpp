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
