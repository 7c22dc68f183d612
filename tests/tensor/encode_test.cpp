// The encoders that search: how much they lose, that no input harms them, that importance moves the loss.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "support/data.h"
#include "tensor/types.h"

namespace hearth {
namespace {

constexpr std::string_view searched[] = {"Q8_0", "Q6_K", "Q5_K",   "Q5_1",   "Q5_0",  "Q4_K", "Q4_1",
                                         "Q4_0", "Q3_K", "IQ4_NL", "IQ4_XS", "MXFP4", "Q2_K"};

std::vector<std::byte> encoded(const TypeInfo& type, const std::vector<float>& x,
                               const std::vector<float>& importance = {}) {
  std::vector<std::byte> blocks(x.size() / type.block_values * type.block_bytes);
  type.encode(x, importance, blocks);
  return blocks;
}

std::vector<float> decoded(const TypeInfo& type, const std::vector<std::byte>& blocks) {
  std::vector<float> y(blocks.size() / type.block_bytes * type.block_values);
  type.decode(blocks, y);
  return y;
}

double squared_error(const std::vector<float>& x, const std::vector<float>& y,
                     const std::vector<float>& w = {}) {
  double error = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double off = static_cast<double>(x[i]) - static_cast<double>(y[i]);
    error += (w.empty() ? 1.0 : static_cast<double>(w[i])) * off * off;
  }
  return error;
}

// Root mean square error for a root mean square of 1.
double relative_rmse(const std::vector<float>& x, const std::vector<float>& y) {
  return std::sqrt(squared_error(x, y) / squared_error(x, std::vector<float>(x.size(), 0.0F)));
}

// Bell-shaped numbers: sums of four uniform ones, the same everywhere.
std::vector<float> bell(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> x(count);
  for (float& v : x) {
    v = 0;
    for (int i = 0; i < 4; ++i) v += static_cast<float>(random() >> 8) * 0x1p-24F - 0.5F;
  }
  return x;
}

TEST(EncodeSearch, LosesNoMoreThanTheReferenceQuantizer) {
  if (test::reference_dir().empty()) GTEST_SKIP() << test::no_reference();
  size_t blocks = 0;
  for (const std::string_view name : searched) {
    const TypeInfo& type = *find_type(name);
    const Json data = test::read_json(test::reference_dir() / "quant" / (std::string(name) + ".json"));
    for (const Json& block : data.at("blocks").as_array()) {
      const Json* source = block.as_object().if_contains("source");
      if (source == nullptr) continue;
      std::vector<float> x;
      for (const Json& v : source->as_array()) x.push_back(static_cast<float>(v.to_number<double>()));
      const double error = squared_error(x, decoded(type, encoded(type, x)));
      const double rmse = std::sqrt(error / static_cast<double>(x.size()));
      EXPECT_LE(rmse, block.at("rmse").to_number<double>() * 1.00001) << name << " block " << blocks;
      ++blocks;
    }
  }
  EXPECT_EQ(blocks, 4 * std::size(searched));
}

// Measured when the encoders were written, plus one in a hundred; beside it that the search beats plain
// rounding.
TEST(EncodeSearch, LossOfBellShapedWeights) {
  const std::pair<std::string_view, double> bounds[] = {
      {"Q8_0", 0.00495}, {"Q6_K", 0.0167}, {"Q5_K", 0.0341}, {"Q5_1", 0.033},    {"Q5_0", 0.0383},
      {"Q4_K", 0.0688},  {"Q4_1", 0.0681}, {"Q4_0", 0.0778}, {"IQ4_NL", 0.0721}, {"IQ4_XS", 0.0724},
      {"MXFP4", 0.111},  {"Q3_K", 0.141},  {"Q2_K", 0.258},
  };
  const std::vector<float> x = bell(1 << 16, 7);
  for (const auto& [name, bound] : bounds) {
    const TypeInfo& type = *find_type(name);
    const double loss = relative_rmse(x, decoded(type, encoded(type, x)));
    std::vector<std::byte> plain(x.size() / type.block_values * type.block_bytes);
    type.round(x, plain);
    EXPECT_LE(loss, bound) << name;
    EXPECT_LT(loss, 0.992 * relative_rmse(x, decoded(type, plain))) << name;
  }
}

// What a type can hold exactly comes back exactly, or with the last bits that a half-precision scale costs.
TEST(EncodeSearch, KeepsWhatItCanHold) {
  for (const std::string_view name : searched) {
    const TypeInfo& type = *find_type(name);
    const std::vector<float> once = decoded(type, encoded(type, bell(4096, 11)));
    const std::vector<float> twice = decoded(type, encoded(type, once));
    // Coarse types with two kinds of scales need not find the same scales again.
    EXPECT_LE(relative_rmse(once, twice), name == "Q2_K" ? 0.06 : 0.02) << name;
    const std::vector<float> zero(512, 0.0F);
    EXPECT_EQ(squared_error(zero, decoded(type, encoded(type, zero))), 0) << name;
  }
}

TEST(EncodeSearch, ImportanceMovesTheLoss) {
  const std::vector<float> x = bell(1 << 13, 5);
  std::vector<float> w(x.size());
  for (size_t i = 0; i < w.size(); ++i) w[i] = i % 8 == 0 ? 20.0F : 0.1F;
  for (const std::string_view name : searched) {
    const TypeInfo& type = *find_type(name);
    const double without = squared_error(x, decoded(type, encoded(type, x)), w);
    const double with = squared_error(x, decoded(type, encoded(type, x, w)), w);
    EXPECT_LT(with, without * (name == "MXFP4" ? 0.99 : 0.95)) << name;
    // Equal weights are no weights.
    EXPECT_EQ(encoded(type, x), encoded(type, x, std::vector<float>(x.size(), 1.0F))) << name;
  }
}

TEST(EncodeSearch, SurvivesAnyInput) {
  constexpr float inf = std::numeric_limits<float>::infinity();
  const float odd[] = {0,    -0.0F, 1,      -1,  1e-45F, -1e-38F, 6e-8F, 65504, -65504,
                       1e6F, 1e38F, -3e38F, inf, -inf,   NAN,     0.5F,  1e-4F, 3e-20F};
  std::mt19937 random(3);
  for (const std::string_view name : searched) {
    const TypeInfo& type = *find_type(name);
    for (int round = 0; round < 200; ++round) {
      std::vector<float> x(256);
      const size_t kinds = 1 + random() % std::size(odd);
      for (float& v : x) v = odd[random() % kinds];
      const auto blocks = encoded(type, x);
      EXPECT_EQ(blocks, encoded(type, x)) << name;
      // Finite halves at most: whatever came in, the scales are numbers.
      for (const float v : decoded(type, blocks)) ASSERT_FALSE(std::isnan(v)) << name << " round " << round;
    }
  }
}

// A block is encoded by itself: what lies before and behind it does not matter.
TEST(EncodeSearch, BlocksAreIndependent) {
  const std::vector<float> x = bell(2048, 13);
  for (const std::string_view name : searched) {
    const TypeInfo& type = *find_type(name);
    const auto whole = encoded(type, x);
    const auto half = encoded(type, {x.begin() + 1024, x.end()});
    EXPECT_TRUE(std::equal(half.begin(), half.end(), whole.begin() + whole.size() / 2)) << name;
  }
}

}  // namespace
}  // namespace hearth
