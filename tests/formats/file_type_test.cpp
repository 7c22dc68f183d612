#include "formats/file_type.h"

#include <gtest/gtest.h>

namespace hearth {
namespace {

TEST(FileType, NumbersAndNamesBelongTogether) {
  EXPECT_EQ(file_type_name(15), "Q4_K_M");
  EXPECT_EQ(file_type_name(7), "Q8_0");
  EXPECT_EQ(file_type_name(4), "unknown");
  EXPECT_EQ(file_type_name(1ULL << 40), "unknown");
  EXPECT_EQ(find_file_type("q4_k_m"), 15U);
  EXPECT_EQ(find_file_type("Q4_K"), 15U) << "as create understands it";
  EXPECT_EQ(find_file_type("Q4_K_X"), std::nullopt);
}

}  // namespace
}  // namespace hearth
