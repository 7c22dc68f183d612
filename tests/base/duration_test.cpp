#include "base/duration.h"

#include <gtest/gtest.h>

namespace hearth {
namespace {

using namespace std::chrono_literals;

TEST(Duration, IsReadWithUnits) {
  EXPECT_EQ(parse_duration("5m"), 5min);
  EXPECT_EQ(parse_duration("1h30m"), 90min);
  EXPECT_EQ(parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(parse_duration("300ms"), 300ms);
  EXPECT_EQ(parse_duration("-1m"), -1min);
  EXPECT_EQ(parse_duration("0"), 0ns);
  EXPECT_GT(parse_duration("999999999h").value(), 24h * 365 * 200);
}

TEST(Duration, AnythingElseIsNone) {
  for (const char* text : {"", "5", "-1", "1d", "m", "5mm", "5m3", "???", "1 h", "--1m"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace hearth
