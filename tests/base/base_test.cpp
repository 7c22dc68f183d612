#include <gtest/gtest.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <limits>

#include "base/checked.h"
#include "base/cpu_features.h"
#include "base/error.h"
#include "base/file.h"
#include "base/half.h"

namespace hearth {
namespace {

TEST(Error, OneLineWithRemedy) {
  const Error error(Code::not_found, "no such file: a.gguf", "check the path");
  EXPECT_STREQ(error.what(), "no such file: a.gguf (check the path)");
  for (int i = 0; i <= static_cast<int>(Code::bug); ++i) {
    EXPECT_EQ(code_from_string(to_string(static_cast<Code>(i))), static_cast<Code>(i));
  }
}

TEST(Checked, OverflowIsNone) {
  constexpr uint64_t most = std::numeric_limits<uint64_t>::max();
  EXPECT_FALSE(checked_add(most, 1));
  EXPECT_FALSE(checked_mul(most / 2, 3));
  EXPECT_FALSE(checked_align(most - 3, 32));
  EXPECT_EQ(checked_align(33, 32), 64U);
  EXPECT_EQ(align_up(64, 32), 64U);
}

TEST(Half, EveryPatternSurvivesTheRoundTrip) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = half_to_float(static_cast<uint16_t>(bits));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(half_to_float(float_to_half(value))));
      continue;
    }
    ASSERT_EQ(float_to_half(value), bits);
  }
}

TEST(Half, RoundsToNearestEven) {
  EXPECT_EQ(float_to_half(1.0F + 0x1p-11F), 0x3c00);             // a tie: to the even mantissa
  EXPECT_EQ(float_to_half(1.0F + 0x1p-11F + 0x1p-20F), 0x3c01);  // above the tie
  EXPECT_EQ(float_to_half(65519.0F), 0x7bff);
  EXPECT_EQ(float_to_half(65520.0F), 0x7c00);
  EXPECT_EQ(float_to_half(0x1p-25F), 0);  // half of the smallest subnormal: a tie to zero
  EXPECT_EQ(float_to_half(-0x1.8p-25F), 0x8001);
  EXPECT_EQ(float_to_bf16(std::bit_cast<float>(0x3f808000U)), 0x3f80);
  EXPECT_EQ(float_to_bf16(std::bit_cast<float>(0x3f818000U)), 0x3f82);
}

TEST(File, AtomicWriteAndMap) {
  const auto path = std::filesystem::temp_directory_path() / ("hearth-file-" + std::to_string(::getpid()));
  write_file_atomic(path, "one");
  write_file_atomic(path, "two");
  EXPECT_EQ(read_file(path), "two");
  EXPECT_EQ(MappedFile(path).bytes().size(), 3U);
  std::filesystem::remove(path);
  EXPECT_THROW(read_file(path), Error);
  EXPECT_THROW(read_file(std::filesystem::temp_directory_path()), Error);
}

TEST(CpuFeatures, SetsImplyEachOther) {
  const CpuFeatures& f = cpu_features();
  EXPECT_TRUE(!f.avx512 || f.avx2);
  EXPECT_TRUE(!f.avx512vnni || f.avx512);
  EXPECT_TRUE(!f.amx || f.avx512bf16);
}

}  // namespace
}  // namespace hearth
