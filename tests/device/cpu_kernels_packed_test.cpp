// Packed products of every type and set against sums in double over the decoded weights and the rounded
// activations; rounding against the floats it came from.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "amx_emulated.h"
#include "cpu_kernels.h"
#include "device/cpu/packer.h"

namespace hearth::test {
namespace {

using cpu::integer_row;
using cpu::IntegerRow;
using cpu::PackedForm;

// The rounding of the best set the machine has; null on a machine without vectors.
cpu::RoundRow rounding() { return cpu::resolve("", cpu_features()).round_row; }

float float_at(const std::byte* p) {
  float v = 0;
  std::memcpy(&v, p, sizeof v);
  return v;
}

// What a rounded row stands for.
std::vector<double> values_of(const std::byte* row, uint32_t cols) {
  const IntegerRow at = integer_row(cols);
  std::vector<double> out;
  for (uint32_t k = 0; k < cols; ++k) {
    const double scale = static_cast<double>(float_at(row + at.scale + k / 32 * 4));
    out.push_back(scale * static_cast<int8_t>(row[k]));
  }
  return out;
}

std::vector<float> random_row(uint32_t cols, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<float> x(cols);
  for (float& v : x) v = normal(random);
  return x;
}

// 512 columns of which each 32 are of another size.
std::vector<float> uneven_row(float size, std::mt19937& random) {
  std::vector<float> x = random_row(512, random);
  for (uint32_t k = 0; k < 512; ++k) x[k] *= size * static_cast<float>(1 + k / 32 % 7);
  x[40] = 0;
  return x;
}

TEST(PackedRounding, StaysWithinHalfAStepOfWhatSharesTheScale) {
  const cpu::RoundRow round = rounding();
  if (round == nullptr) GTEST_SKIP() << "this processor has no packed kernels";
  std::mt19937 random(3);
  for (const uint32_t together : {32U, 256U}) {
    for (const float size : {1.0F, 1e-30F, 1e30F, 0.0F, 1e-42F}) {
      const std::vector<float> x = uneven_row(size, random);
      std::vector<std::byte> row(integer_row(512).bytes);
      round(x.data(), 512, together, row.data());
      const auto back = values_of(row.data(), 512);
      for (uint32_t k = 0; k < 512; ++k) {
        double top = 0;
        for (uint32_t i = k / together * together; i < k / together * together + together; ++i)
          top = std::max(top, std::fabs(static_cast<double>(x[i])));
        const double step = std::max(top / 127, 1e-37 * 127);
        EXPECT_NEAR(back[k], static_cast<double>(x[k]), step * 0.5001) << k << " of size " << size;
      }
    }
  }
}

template <class T>
T number_at(const std::byte* p) {
  T v = 0;
  std::memcpy(&v, p, sizeof v);
  return v;
}

TEST(PackedRounding, SumsAreThoseOfTheIntegers) {
  const cpu::RoundRow round = rounding();
  if (round == nullptr) GTEST_SKIP() << "this processor has no packed kernels";
  std::mt19937 random(4);
  const IntegerRow at = integer_row(512);
  for (const uint32_t together : {32U, 256U}) {
    std::vector<std::byte> row(at.bytes);
    round(uneven_row(1, random).data(), 512, together, row.data());
    for (uint32_t g = 0; g < 32; ++g) {
      int32_t sum = 0, sum32 = 0;
      for (uint32_t k = 16 * g; k < 16 * g + 16; ++k) sum += static_cast<int8_t>(row[k]);
      for (uint32_t k = 32 * (g / 2); k < 32 * (g / 2) + 32; ++k) sum32 += static_cast<int8_t>(row[k]);
      const float scale = float_at(row.data() + at.scale + g / 2 * 4);
      EXPECT_EQ(number_at<int32_t>(row.data() + at.int_sum16 + 4 * g), -sum);
      EXPECT_EQ(number_at<int32_t>(row.data() + at.int_sum32 + g / 2 * 4), -sum32);
      EXPECT_EQ(number_at<int16_t>(row.data() + at.short_sum16 + 2 * g), sum);
      EXPECT_EQ(number_at<int16_t>(row.data() + at.short_sum32 + g / 2 * 2), sum32);
      EXPECT_EQ(float_at(row.data() + at.sum16 + 4 * g), scale * static_cast<float>(sum));
      EXPECT_EQ(float_at(row.data() + at.sum32 + g / 2 * 4), scale * static_cast<float>(sum32));
    }
  }
}

struct Case {
  std::string_view set;
  const cpu::PackedKernels* kernels;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const cpu::CpuTable* table : runnable_sets()) {
    for (uint32_t i = 0; i < table->packed_count; ++i) all.push_back({table->name, &table->packed[i]});
  }
  if (cpu_features().avx512vnni) {
    for (const cpu::PackedKernels& kernels : cpu::amx_emulated::packed)
      all.push_back({"amx (emulated)", &kernels});
  }
  return all;
}

struct Weights {
  std::vector<std::byte> blocks;
  std::vector<float> decoded;
  size_t row_bytes;
};

// Blocks of rounded normal numbers: all levels and scales of both signs occur. Random bits where hearth does
// not write the type.
Weights weights_of(const TypeInfo& type, uint32_t rows, uint32_t cols, std::mt19937& random) {
  Weights w;
  w.row_bytes = size_t{cols} / type.block_values * type.block_bytes;
  w.blocks.resize(w.row_bytes * rows);
  w.decoded.resize(size_t{rows} * cols);
  for (uint32_t r = 0; r < rows; ++r) {
    std::vector<float> x = random_row(cols, random);
    for (uint32_t k = 0; k < cols; ++k) x[k] = x[k] * (0.1F + static_cast<float>(k / 32 % 5)) + 0.3F;
    const std::span<std::byte> row(w.blocks.data() + r * w.row_bytes, w.row_bytes);
    if (type.encode != nullptr) {
      type.encode(x, {}, row);
    } else {
      Random(static_cast<uint32_t>(random())).blocks(type, row);
    }
    type.decode(row, {w.decoded.data() + size_t{r} * cols, cols});
  }
  return w;
}

void pack(const PackedForm& form, const Weights& w, uint32_t rows, uint32_t cols, std::byte* to) {
  for (uint32_t r = 0; r < rows; r += cpu::strip_rows, to += cpu::strip_bytes(form, cols)) {
    const uint32_t some = std::min(cpu::strip_rows, rows - r);
    cpu::pack_strip(form, w.blocks.data() + r * w.row_bytes, w.row_bytes, some, cols, to);
  }
}

void round_rows(const Case& c, uint32_t cols, uint32_t count, std::mt19937& random, std::byte* to) {
  for (uint32_t m = 0; m < count; ++m, to += integer_row(cols).bytes)
    rounding()(random_row(cols, random).data(), cols, c.kernels->together, to);
}

void expect_product(const Case& c, uint32_t rows, uint32_t cols, uint32_t count) {
  std::mt19937 random(rows * 31 + cols + count);
  const TypeInfo& type = *find_type(c.kernels->type);
  const Weights w = weights_of(type, rows, cols, random);
  const PackedForm& form = *cpu::packed_form(c.kernels->type);
  Guarded<std::byte> packed(cpu::packed_bytes(form, rows, cols));
  pack(form, w, rows, cols, packed.data());
  const size_t x_bytes = integer_row(cols).bytes;
  Guarded<std::byte> x(count * x_bytes);
  round_rows(c, cols, count, random, x.data());
  Guarded<float> y(size_t{count} * rows);
  c.kernels->product(packed.data(), rows, cols, x.data(), count, y.data(), rows);
  for (uint32_t m = 0; m < count; ++m) {
    const auto activations = values_of(x.data() + m * x_bytes, cols);
    for (uint32_t r = 0; r < rows; ++r) {
      double wanted = 0, magnitude = 0;
      for (uint32_t k = 0; k < cols; ++k) {
        const double term = static_cast<double>(w.decoded[size_t{r} * cols + k]) * activations[k];
        wanted += term;
        magnitude += std::fabs(term);
      }
      // Affine types add and take off their minima apart: the parts are larger than the terms.
      ASSERT_NEAR(static_cast<double>(y[size_t{m} * rows + r]), wanted,
                  (cols / 8 + 60) * unit * magnitude * 4)
          << c.set << " " << type.name << " row " << r << " activation " << m;
    }
  }
}

TEST(PackedProducts, OfAllTypesAndShapes) {
  for (const Case& c : cases()) {
    const uint32_t block = cpu::packed_form(c.kernels->type)->block;
    for (const uint32_t rows : {1U, 7U, 8U, 9U, 16U, 33U}) {
      for (const uint32_t cols : {block, 3 * block}) expect_product(c, rows, cols, 1);
    }
    for (const uint32_t count : {2U, 3U, 4U, 7U, 8U, 12U, 16U, 31U, 33U, 70U})
      expect_product(c, 20, 2 * block, count);
  }
}

// Texts of one sequence do not depend on the others of a step, to the bit.
TEST(PackedProducts, OfARowDoNotDependOnTheOthers) {
  constexpr uint32_t rows = 40, count = 23;
  for (const Case& c : cases()) {
    const PackedForm& form = *cpu::packed_form(c.kernels->type);
    const uint32_t cols = 3 * form.block;
    std::mt19937 random(c.kernels->type);
    const Weights w = weights_of(*find_type(c.kernels->type), rows, cols, random);
    const size_t x_bytes = integer_row(cols).bytes;
    Guarded<std::byte> packed(cpu::packed_bytes(form, rows, cols)), x(count * x_bytes);
    pack(form, w, rows, cols, packed.data());
    round_rows(c, cols, count, random, x.data());
    std::vector<float> alone(size_t{count} * rows);
    for (uint32_t m = 0; m < count; ++m) {
      c.kernels->product(packed.data(), rows, cols, x.data() + m * x_bytes, 1, alone.data() + m * rows, rows);
    }
    for (const uint32_t some : {2U, 3U, 4U, 5U, 8U, 15U, 16U, 17U, 23U}) {
      Guarded<float> y(size_t{some} * rows);
      c.kernels->product(packed.data(), rows, cols, x.data(), some, y.data(), rows);
      EXPECT_TRUE(std::equal(y.data(), y.data() + size_t{some} * rows, alone.begin()))
          << c.set << " " << find_type(c.kernels->type)->name << ", " << some << " rows";
    }
  }
}

double bf16_at(const std::byte* p) {
  uint16_t bits = 0;
  std::memcpy(&bits, p, sizeof bits);
  const uint32_t wide = uint32_t{bits} << 16;
  float v = 0;
  std::memcpy(&v, &wide, sizeof v);
  return static_cast<double>(v);
}

// What AMX computes with; the expansion itself needs AVX512_BF16 only.
TEST(PackedExpansion, GivesTheWeightsInBfloat16) {
  if (!cpu_features().avx512bf16) GTEST_SKIP() << "this processor has no AVX512_BF16";
  std::mt19937 random(9);
  constexpr uint32_t cols = 768, rows = 13;
  struct Columns {
    uint32_t first, width;
  };
  for (const PackedForm& form : cpu::packed_forms) {
    const cpu::ExpandPanel expand = cpu::amx_table.matmul->expand[form.type];
    const TypeInfo& type = *find_type(form.type);
    ASSERT_EQ(expand == nullptr, type.type == DType::tq2_0) << type.name;
    if (expand == nullptr) continue;
    const Weights w = weights_of(type, rows, cols, random);
    Guarded<std::byte> strip(cpu::strip_bytes(form, cols));
    cpu::pack_strip(form, w.blocks.data(), w.row_bytes, rows, cols, strip.data());
    for (const auto [first, width] : {Columns{256, 512}, Columns{32, 32}, Columns{480, 96}}) {
      Guarded<std::byte> panel(size_t{width} * cpu::panel_rows * 2);
      expand(strip.data(), cols, first, width, panel.data());
      for (uint32_t k = 0; k < width; ++k) {
        for (uint32_t r = 0; r < cpu::panel_rows; ++r) {
          const double wanted = r < rows ? static_cast<double>(w.decoded[size_t{r} * cols + first + k]) : 0;
          const double found = bf16_at(panel.data() + ((k / 2 * cpu::panel_rows + r) * 2 + k % 2) * 2);
          ASSERT_NEAR(found, wanted, std::fabs(wanted) * 0x1p-8 + 1e-5)
              << type.name << " column " << first + k << " row " << r;
        }
      }
    }
  }
}

// How much larger than the file's blocks: a level of its own for every weight where the file has an index
// into a codebook, two bits where it has trits.
double growth(DType type) {
  switch (type) {
    case DType::tq1_0: return 1.23;
    case DType::iq3_s: return 1.26;
    case DType::iq2_s: return 1.40;
    case DType::iq3_xxs: return 1.42;
    case DType::iq2_xs: return 1.55;
    case DType::iq2_xxs: return 1.61;
    case DType::iq1_s: return 1.69;
    case DType::iq1_m: return 2.05;
    default: return 1.04;
  }
}

TEST(PackedForms, AreAsLargeAsTheBlocksOrSoMuchLarger) {
  for (const PackedForm& form : cpu::packed_forms) {
    const TypeInfo& type = *find_type(form.type);
    EXPECT_EQ(type.block_values, form.block) << type.name;
    const double bytes = static_cast<double>(2048 / type.block_values * type.block_bytes * 16);
    EXPECT_LE(static_cast<double>(cpu::packed_bytes(form, 16, 2048)) / bytes, growth(type.type)) << type.name;
  }
}

}  // namespace
}  // namespace hearth::test
