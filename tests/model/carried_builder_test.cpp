// What an architecture file gets wrong is named: the tensor, what was expected and what was found.
#include "model/builder.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"

namespace hearth {
namespace {

// Weights 1 to 5 of 8 channels, and groups of states of 24 and of 40 numbers.
class BuilderOfStates : public testing::Test {
 protected:
  BuilderOfStates()
      : b_({}, {{2, 0, 0, 0, 0, 24}, {2, 0, 0, 0, 0, 40}},
           {{"table", DType::f32, {4, 32, 1}},
            {"blk.0.conv.weight", DType::f32, {8, 4, 1}},
            {"blk.0.bias", DType::f32, {1, 8, 1}},
            {"blk.0.a", DType::f32, {8, 5, 1}},
            {"blk.0.mix", DType::f32, {3, 24, 1}}}),
        x_(b_.embed({{1}, {}, 1, 4, 32})) {
    b_.at_layer(7);
  }

  static std::string refusal(const std::function<void()>& f) {
    try {
      f();
    } catch (const Error& e) {
      EXPECT_EQ(e.code, Code::bug);
      return e.message;
    }
    return "";
  }
  ScanW scan() const { return {{}, {3}, {4}, {3}, 8, 1, 1, 5}; }
  ScanInputs inputs(uint32_t gate = 8) const { return {{x_, 0}, {x_, 16}, {x_, 21}, {x_, 24}, {x_, gate}}; }

  Builder b_;
  Act x_;
};

TEST_F(BuilderOfStates, WhatFitsIsAppended) {
  EXPECT_EQ(b_.short_conv(x_, {{2}, {3}, 8, 4}, {24, 0, 8, Act1::none}, {0, 1}).cols, 8U);
  EXPECT_EQ(b_.scan(inputs(), scan(), {1, 0}).cols, 8U);
  const Program p = std::move(b_).finish();
  ASSERT_EQ(p.ops.size(), 3U);
  EXPECT_EQ(kind_name(p.ops[1]), "ShortConv");
  EXPECT_EQ(kind_name(p.ops[2]), "Scan");
  EXPECT_EQ(operands(p.ops[2]).in[0], x_);
  EXPECT_FALSE(operands(p.ops[2]).in[1]) << "an activation that is read five times counts once";
  EXPECT_EQ(weights_of(p.ops[2]).size(), 3U);
}

TEST_F(BuilderOfStates, WhatDoesNotFitIsNamed) {
  EXPECT_EQ(refusal([&] {
              b_.short_conv(x_, {{2}, {}, 8, 3}, {}, {0, 0});
            }),
            "convolution of layer 7 expects 'blk.0.conv.weight' as 1 × 8 × 3, finds 1 × 8 × 4");
  EXPECT_EQ(refusal([&] {
              b_.short_conv(x_, {{2}, {}, 8, 4}, {25, {}, {}, Act1::none}, {0, 0});
            }),
            "convolution of layer 7 gets 32 columns, expects 33");
  EXPECT_EQ(refusal([&] {
              b_.short_conv(x_, {{2}, {}, 8, 4}, {}, {1, 0});
            }),
            "convolution of layer 7 finds a state of 40 numbers, expects 24");
  EXPECT_EQ(refusal([&] {
              b_.scan(inputs(25), scan(), {1, 0});
            }),
            "gate of the scan of layer 7 gets 32 columns, expects 33");
  ScanW wrong = scan();
  wrong.a = {2};
  EXPECT_EQ(refusal([&] {
              b_.scan(inputs(), wrong, {1, 0});
            }),
            "scan of layer 7 expects 'blk.0.conv.weight' as 1 × 8 × 5, finds 1 × 8 × 4");
  wrong = scan();
  wrong.step_bias = {};
  EXPECT_EQ(refusal([&] { b_.scan(inputs(), wrong, {1, 0}); }), "time step of layer 7 lacks a weight");
  EXPECT_EQ(refusal([&] {
              b_.shift(x_, {5}, {0, 0});
            }),
            "shift of layer 7 expects 'blk.0.mix' as 1 × 3 × 32, finds 1 × 3 × 24");
  const auto copy = [&] { return b_.short_conv(x_, {{2}, {}, 8, 4}, {}, {0, 0}); };
  const Act a = copy(), b = copy(), c = copy();
  EXPECT_EQ(refusal([&] {
              b_.scan({{x_, 0}, {a, 0}, {b, 0}, {c, 0}, {copy(), 0}}, scan(), {1, 0});
            }),
            "scan of layer 7 reads 5 activations, 4 at most");
  const DeltaW delta{{3}, {3}, {3}, 4, 2, 2, true, 0};
  const DeltaInputs in{{x_, 0}, {x_, 4}, {x_, 8}, {x_, 16}, {x_, 20}, {x_, 25}};
  EXPECT_EQ(refusal([&] {
              b_.delta(in, delta, {0, 0});
            }),
            "gate of the delta rule of layer 7 gets 32 columns, expects 33");
  EXPECT_EQ(refusal([&] {
              b_.scan(inputs(), scan(), {5, 0});
            }),
            "scan of layer 7 finds a state of 0 numbers, expects 40");
}

}  // namespace
}  // namespace hearth
