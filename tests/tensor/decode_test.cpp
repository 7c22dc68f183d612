#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>

#include "base/half.h"
#include "support/data.h"
#include "tensor/types.h"

namespace hearth {
namespace {

using test::from_hex;

float number(const Json& j) {
  if (j.is_string()) return j.as_string() == "inf" ? INFINITY : j.as_string() == "-inf" ? -INFINITY : NAN;
  return static_cast<float>(j.to_number<double>());
}

// Bit for bit, but for the sign of zero and the payload of NaN.
bool same(float a, float b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  return a == b;
}

std::vector<float> decode(const TypeInfo& type, const std::string& bytes) {
  std::vector<float> out(bytes.size() / type.block_bytes * type.block_values);
  type.decode(std::as_bytes(std::span(bytes)), out);
  return out;
}

void check_blocks(const TypeInfo& type, const Json& file) {
  for (const Json& block : file.at("blocks").as_array()) {
    const auto values = decode(type, from_hex(block.at("hex").as_string()));
    const json::array& wanted = block.at("values").as_array();
    ASSERT_EQ(values.size(), wanted.size()) << type.name;
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_TRUE(same(values[i], number(wanted[i]))) << type.name << " element " << i << ": " << values[i];
    }
  }
}

TEST(Decode, OwnBlocksOfEveryType) {
  const Json cases = test::read_json(test::case_file("tensor/blocks.json"));
  for (const Json& entry : cases.as_array()) {
    const TypeInfo* type = find_type(std::string_view(entry.at("type").as_string()));
    ASSERT_NE(type, nullptr);
    const auto values = decode(*type, from_hex(entry.at("hex").as_string()));
    double sum = 0, squares = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      sum += static_cast<double>(values[i]) * static_cast<double>(i % 7 + 1);
      squares += static_cast<double>(values[i]) * static_cast<double>(values[i]);
    }
    EXPECT_NEAR(sum, entry.at("sum").to_number<double>(), 1e-9 * std::fabs(sum) + 1e-12) << type->name;
    EXPECT_NEAR(squares, entry.at("squares").to_number<double>(), 1e-9 * squares + 1e-12) << type->name;
    EXPECT_TRUE(same(values[0], number(entry.at("first")))) << type->name;
    EXPECT_TRUE(same(values.back(), number(entry.at("last")))) << type->name;
  }
  EXPECT_EQ(cases.as_array().size(), 25U);
}

TEST(Decode, ReferenceBlocksBitForBit) {
  if (test::reference_dir().empty()) GTEST_SKIP() << test::no_reference();
  size_t types = 0;
  for (const auto& path : test::files_in(test::reference_dir() / "quant", ".json")) {
    if (path.stem() == "codebooks") continue;
    const Json file = test::read_json(path);
    const TypeInfo* type = find_type(file.at("id").to_number<uint32_t>());
    ASSERT_NE(type, nullptr) << path;
    EXPECT_EQ(type->name, std::string_view(file.at("type").as_string()));
    EXPECT_EQ(type->block_bytes, file.at("bytes_per_block").to_number<uint32_t>());
    EXPECT_EQ(type->block_values, file.at("elements_per_block").to_number<uint32_t>());
    check_blocks(*type, file);
    ++types;
  }
  EXPECT_EQ(types, 27U);
}

TEST(Types, NumbersAndNamesAreFound) {
  for (const TypeInfo* type : all_types()) {
    EXPECT_EQ(find_type(static_cast<uint32_t>(type->type)), type);
    EXPECT_EQ(find_type(type->name), type);
  }
  EXPECT_EQ(find_type("q4_k")->type, DType::q4_k);
  EXPECT_EQ(find_type(4U), nullptr);  // Q4_2 was withdrawn
  EXPECT_EQ(find_type(1000U), nullptr);
  EXPECT_EQ(row_bytes(DType::q4_k, 512), 288U);
  EXPECT_FALSE(row_bytes(DType::q4_k, 100));
  EXPECT_FALSE(row_bytes(DType::f64, 1ULL << 62));
}

// Rounding to the nearest block loses no more than half a step of the range, and encoding what was decoded is
// lossless for values that the type can hold.
TEST(Encode, StaysWithinHalfAStep) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  const std::pair<DType, double> bounds[] = {{DType::f32, 0},      {DType::f16, 1e-3},  {DType::bf16, 8e-3},
                                             {DType::q8_0, 0.005}, {DType::q5_1, 0.02}, {DType::q5_0, 0.04},
                                             {DType::q4_1, 0.04},  {DType::q4_0, 0.07}};
  for (const auto& [dtype, bound] : bounds) {
    const TypeInfo& type = type_info(dtype);
    ASSERT_NE(type.encode, nullptr) << type.name;
    std::vector<float> x(1024), y(1024);
    for (float& v : x) v = normal(random);
    std::vector<std::byte> blocks(x.size() / type.block_values * type.block_bytes);
    type.encode(x, {}, blocks);
    type.decode(blocks, y);
    for (size_t b = 0; b < x.size(); b += 32) {
      float most = 0;
      for (size_t i = b; i < b + 32; ++i) most = std::max(most, std::fabs(x[i]));
      for (size_t i = b; i < b + 32; ++i) {
        // The range of the block is at most twice its largest magnitude.
        EXPECT_LE(std::fabs(x[i] - y[i]), bound * 2 * static_cast<double>(most)) << type.name;
      }
    }
    std::vector<std::byte> zero(blocks.size());
    type.encode(std::vector<float>(1024, 0.0F), {}, zero);
    type.decode(zero, y);
    for (const float v : y) EXPECT_EQ(v, 0.0F) << type.name;
  }
}

}  // namespace
}  // namespace hearth
