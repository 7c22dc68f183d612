// decode and gemv of every type and set against TypeInfo::decode and sums in double.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "cpu_kernels.h"
#include "support/data.h"

namespace hearth::test {
namespace {

struct Case {
  const cpu::CpuTable* table;
  const cpu::TypeKernels* kernels;
  const TypeInfo* type;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const cpu::CpuTable* table : runnable_sets()) {
    for (uint32_t i = 0; i < table->type_count; ++i) {
      all.push_back({table, &table->types[i], find_type(table->types[i].type)});
    }
  }
  return all;
}

std::string name_of(const Case& c) { return fmt::format("{} {}", c.table->name, c.type->name); }

std::vector<uint32_t> columns_of(const TypeInfo& type) {
  if (type.block_values == 1) return {1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 515};
  if (type.block_values < 256)
    return {type.block_values, 2 * type.block_values, 3 * type.block_values, 9 * type.block_values,
            17 * type.block_values};
  return {256, 512, 768, 1280};
}

TEST(CpuKernelsTypes, EveryWeightTypeIsKnownAndPortableHasThemAll) {
  for (const Case& c : cases()) ASSERT_NE(c.type, nullptr);
  size_t weights = 0;
  for (const TypeInfo* t : all_types()) weights += t->decode != nullptr ? 1 : 0;
  EXPECT_EQ(cpu::portable_table.type_count, weights);
}

TEST(CpuKernelsTypes, DecodeIsExactForAnyBits) {
  Random random(1);
  for (const Case& c : cases()) {
    for (const uint32_t cols : columns_of(*c.type)) {
      Guarded<std::byte> blocks(cols / c.type->block_values * c.type->block_bytes);
      Guarded<float> out(cols);
      std::vector<float> expected(cols);
      for (int round = 0; round < 8; ++round) {
        for (std::byte& b : blocks) b = random.byte();
        c.type->decode({blocks.data(), blocks.size()}, expected);
        c.kernels->decode(blocks.data(), cols, out.data());
        for (uint32_t i = 0; i < cols; ++i) {
          ASSERT_TRUE(same(out[i], expected[i]))
              << name_of(c) << " " << i << " of " << cols << ": " << out[i] << " instead of " << expected[i];
        }
      }
    }
  }
}

TEST(CpuKernelsTypes, DecodeMeetsTheReference) {
  if (reference_dir().empty()) GTEST_SKIP() << no_reference();
  for (const Case& c : cases()) {
    const auto path = reference_dir() / "quant" / fmt::format("{}.json", c.type->name);
    if (!std::filesystem::exists(path)) continue;
    const Json file = read_json(path);
    for (const auto& block : file.at("blocks").as_array()) {
      const std::string bytes = from_hex(block.at("hex").as_string());
      const auto& values = block.at("values").as_array();
      std::vector<float> out(values.size());
      c.kernels->decode(bytes.data(), static_cast<uint32_t>(out.size()), out.data());
      for (size_t i = 0; i < out.size(); ++i) {
        if (values[i].is_string()) continue;
        ASSERT_EQ(out[i], static_cast<float>(values[i].to_number<double>())) << name_of(c) << " " << i;
      }
    }
  }
}

// A matrix of random blocks with its decoded values, and what its products may be off by.
struct Matrix {
  Matrix(const TypeInfo& type, uint32_t row_count, uint32_t col_count, size_t gap, Random& random)
      : rows(row_count),
        cols(col_count),
        row_bytes(size_t{col_count} / type.block_values * type.block_bytes + gap),
        bytes(row_count * row_bytes - gap),
        values(size_t{row_count} * col_count),
        largest(values.size()) {
    const size_t whole = row_bytes - gap;
    for (uint32_t r = 0; r < rows; ++r) {
      const std::span<std::byte> row(bytes.data() + r * row_bytes, whole);
      random.blocks(type, row);
      type.decode(row, std::span(values).subspan(size_t{r} * cols, cols));
    }
    for (size_t i = 0; i < values.size(); i += type.block_values) {
      float most = 0.0F;
      for (size_t j = i; j < i + type.block_values; ++j) most = std::max(most, std::fabs(values[j]));
      for (size_t j = i; j < i + type.block_values; ++j) largest[j] = most;
    }
  }

  uint32_t rows, cols;
  size_t row_bytes;
  Guarded<std::byte> bytes;
  std::vector<float> values;
  std::vector<float> largest;  // the largest magnitude in the value's block, which bounds the block's offset
};

// Every sum has at most cols / 8 terms in a lane and ten more roundings (scale, offset, lanes); offset and
// product are summed apart, so that the magnitudes that are rounded are |w| + 2·|offset|.
void expect_product(const Case& c, const Matrix& w, uint32_t count, Random& random) {
  const size_t x_stride = w.cols + 3, y_stride = w.rows + 5;
  Guarded<float> x((count - 1) * x_stride + w.cols), y((count - 1) * y_stride + w.rows);
  random.fill(x);
  c.kernels->gemv(w.bytes.data(), w.row_bytes, w.rows, w.cols, x.data(), x_stride, count, y.data(), y_stride);
  for (uint32_t n = 0; n < count; ++n) {
    for (uint32_t r = 0; r < w.rows; ++r) {
      double sum = 0.0, magnitude = 0.0;
      for (uint32_t k = 0; k < w.cols; ++k) {
        const size_t at = size_t{r} * w.cols + k;
        const double v = x[n * x_stride + k];
        sum += w.values[at] * v;
        magnitude += (std::fabs(w.values[at]) + 2.0 * w.largest[at]) * std::fabs(v);
      }
      ASSERT_NEAR(y[n * y_stride + r], sum, (w.cols / 8.0 + 10.0) * (unit * magnitude + 0x1p-150))
          << name_of(c) << " row " << r << " of " << w.rows << ", " << w.cols << " columns, activation " << n
          << " of " << count;
    }
  }
}

TEST(CpuKernelsTypes, ProductsOfAllShapes) {
  Random random(2);
  for (const Case& c : cases()) {
    for (const uint32_t cols : columns_of(*c.type)) {
      for (const uint32_t rows : {1U, 2U, 3U, 6U, 9U}) {
        const Matrix w(*c.type, rows, cols, rows % 2 == 0 ? 0 : 6, random);
        for (uint32_t count = 1; count <= 8; ++count) expect_product(c, w, count, random);
      }
    }
  }
}

TEST(CpuKernelsTypes, ProductsOfManyRowsAndColumns) {
  Random random(3);
  for (const Case& c : cases()) {
    const Matrix high(*c.type, 70, c.type->block_values < 256 ? 384 : 512, 0, random);
    const Matrix wide(*c.type, 3, 8192 + 768, 0, random);
    for (const uint32_t count : {1U, 3U, 8U}) {
      expect_product(c, high, count, random);
      expect_product(c, wide, count, random);
    }
  }
}

}  // namespace
}  // namespace hearth::test
