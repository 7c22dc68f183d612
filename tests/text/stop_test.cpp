#include "text/stop.h"

#include <gtest/gtest.h>

#include <random>

namespace hearth {

namespace {

TEST(StopScanner, HoldsBackWhatMayBeAStop) {
  StopScanner scanner({"</end>", "STOP"});
  EXPECT_EQ(scanner.push("hello <").text, "hello ");
  EXPECT_EQ(scanner.push("/e").text, "");
  EXPECT_EQ(scanner.push("x").text, "</ex");
  EXPECT_EQ(scanner.push("ST").text, "");
  EXPECT_EQ(scanner.push("STO").text, "ST");
  const auto result = scanner.push("P and more");
  EXPECT_EQ(result.text, "");
  EXPECT_EQ(result.stop, 1u);
  EXPECT_EQ(scanner.push("anything").text, "");
  EXPECT_EQ(scanner.flush(), "");
  EXPECT_EQ(scanner.push("new").text, "new");
}

TEST(StopScanner, FlushGivesWhatWasHeld) {
  StopScanner scanner({"abc"});
  EXPECT_EQ(scanner.push("xab").text, "x");
  EXPECT_EQ(scanner.flush(), "ab");
  EXPECT_EQ(scanner.push("c").text, "c");
}

TEST(StopScanner, FirstCompleteThenLongest) {
  StopScanner scanner({"abcd", "bc", "xbc"});
  auto result = scanner.push("abcd");
  EXPECT_EQ(result.text, "a");
  EXPECT_EQ(result.stop, 1u);
  StopScanner other({"bc", "abc"});
  result = other.push("zabc");
  EXPECT_EQ(result.text, "z");
  EXPECT_EQ(result.stop, 1u);
}

TEST(StopScanner, WithoutStopsEverythingPasses) {
  StopScanner none({}), empty({""});
  EXPECT_EQ(none.push("text").text, "text");
  EXPECT_EQ(empty.push("text").text, "text");
  EXPECT_FALSE(empty.push("more").stop);
}

TEST(StopScanner, DoesNotDependOnTheCuts) {
  std::mt19937 random(5);
  for (int round = 0; round < 2000; ++round) {
    const auto word = [&](size_t most) {
      std::string text;
      for (size_t n = 1 + random() % most; n > 0; --n) text.push_back(static_cast<char>('a' + random() % 2));
      return text;
    };
    const std::vector<std::string> stops = {word(6), word(6), word(9)};
    const std::string text = word(40);
    StopScanner whole(stops), cut(stops);
    const auto one = whole.push(text);
    const std::string expected = one.text + (one.stop ? "" : whole.flush());
    std::string shown;
    std::optional<size_t> stop;
    for (size_t at = 0; at < text.size() && !stop;) {
      const size_t size = 1 + random() % 3;
      const auto result = cut.push(std::string_view(text).substr(at, size));
      shown += result.text;
      stop = result.stop;
      at += size;
    }
    if (!stop) shown += cut.flush();
    ASSERT_EQ(shown, expected) << text;
    ASSERT_EQ(stop, one.stop);
    for (const auto& s : stops) {
      if (one.stop) {
        ASSERT_EQ(expected.find(s), std::string::npos) << s << " in " << text;
      }
    }
  }
}

}  // namespace

}  // namespace hearth
