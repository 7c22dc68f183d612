#include "cli/table.h"

#include <gtest/gtest.h>

namespace hearth {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using Clock = std::chrono::system_clock;

TEST(Table, ColumnsStandFourBlanksApart) {
  Table t({"NAME", "ID", "SIZE"});
  t.add({"llama3.2:latest", "0123456789ab", "2 GB"});
  EXPECT_EQ(t.text(),
            "NAME               ID              SIZE\n"
            "llama3.2:latest    0123456789ab    2 GB\n");
}

TEST(Age, IsSaidInWords) {
  const Clock::time_point now = Clock::time_point(hours(24 * 365 * 50));
  EXPECT_EQ(human_age(now, now), "Less than a second ago");
  EXPECT_EQ(human_age(now - seconds(30), now), "30 seconds ago");
  EXPECT_EQ(human_age(now - seconds(70), now), "About a minute ago");
  EXPECT_EQ(human_age(now + minutes(4), now), "4 minutes from now");
  EXPECT_EQ(human_age(now - minutes(65), now), "About an hour ago");
  EXPECT_EQ(human_age(now - hours(47), now), "47 hours ago");
  EXPECT_EQ(human_age(now - hours(49), now), "2 days ago");
  EXPECT_EQ(human_age(now - hours(24 * 20), now), "2 weeks ago");
  EXPECT_EQ(human_age(now - hours(24 * 100), now), "3 months ago");
  EXPECT_EQ(human_age(now - hours(24 * 800), now), "2 years ago");
  EXPECT_EQ(human_age(now + hours(24 * 365 * 21), now), "Forever");
  EXPECT_EQ(human_age({}, now), "Never");
}

TEST(Time, IsReadWithFractionAndOffset) {
  const auto base = Clock::from_time_t(1'700'000'000);  // 2023-11-14T22:13:20Z
  EXPECT_EQ(parse_time("2023-11-14T22:13:20Z"), base);
  EXPECT_EQ(parse_time("2023-11-15T00:13:20.123456789+02:00"), base);
  EXPECT_EQ(parse_time("2023-11-14T17:43:20-04:30"), base);
  EXPECT_EQ(parse_time("garbage"), Clock::time_point());
  EXPECT_GT(parse_time("2318-01-01T00:00:00Z"), base + hours(24 * 365 * 100));
}

}  // namespace
}  // namespace hearth
