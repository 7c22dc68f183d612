#include "cli/progress.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace hearth {
namespace {

std::string drawn(bool terminal) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  {
    ProgressView p(ends[1], terminal, 80);
    p.update("pulling manifest", 0, 0);
    p.update("pulling 0123456789ab", 0, 1000);  // nothing has come: not drawn
    p.update("pulling 0123456789ab", 500, 1000);
    p.update("pulling 0123456789ab", 1000, 1000);
    p.update("success", 0, 0);
  }
  ::close(ends[1]);
  std::string text(65536, '\0');
  text.resize(static_cast<size_t>(::read(ends[0], text.data(), text.size())));
  ::close(ends[0]);
  return text;
}

TEST(ProgressView, WithoutATerminalEachStatusIsOnePlainLine) {
  EXPECT_EQ(drawn(false), "pulling manifest\npulling 0123456789ab\nsuccess\n");
}

TEST(ProgressView, OnATerminalBarsFillAndFit) {
  const std::string text = drawn(true);
  EXPECT_NE(text.find("100% ▕"), std::string::npos);
  EXPECT_NE(text.find("1 KB"), std::string::npos);
  EXPECT_NE(text.find("success"), std::string::npos);
  // The last drawing stays: each line ends, and no line is wider than the terminal.
  EXPECT_TRUE(text.ends_with("\n"));
}

}  // namespace
}  // namespace hearth
