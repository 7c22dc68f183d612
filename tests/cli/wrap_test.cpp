#include "cli/wrap.h"

#include <gtest/gtest.h>

namespace hearth {
namespace {

// What comes out of a terminal of 25 columns (so 20 are used) when the text comes in pieces of that size.
std::string wrapped(const std::string& text, size_t piece) {
  WordWrap wrap(25);
  std::string out;
  for (size_t at = 0; at < text.size(); at += piece) out += wrap.push(text.substr(at, piece));
  return out + wrap.flush();
}

void expect_wrapped(const std::string& text, const std::string& expected) {
  for (size_t piece = 1; piece < 12; ++piece) EXPECT_EQ(wrapped(text, piece), expected) << piece;
  EXPECT_EQ(wrapped(text, text.size()), expected);
}

TEST(Wrap, WordsMoveToTheNextLineWithoutTheirBlank) {
  expect_wrapped("The quick brown fox jumps over", "The quick brown fox\njumps over");
  expect_wrapped("exactly twenty wide! next", "exactly twenty wide!\nnext");
  expect_wrapped("exactly twenty wider next", "exactly twenty wider\nnext");
}

TEST(Wrap, LinesAndIndentationStay) {
  expect_wrapped("a\n\n    indented\nb", "a\n\n    indented\nb");
  expect_wrapped("\tif x:\n\t\tgo y\n", "\tif x:\n\t\tgo y\n");
  expect_wrapped("a\tbbbbbbbbbbbbb c", "a\nbbbbbbbbbbbbb c");  // the tab ends at column 8, the word at 21
  expect_wrapped("a\tbbbbbbbbbbbb c", "a\tbbbbbbbbbbbb\nc");
}

TEST(Wrap, AWordLongerThanALineIsNotBroken) {
  const std::string address = "https://example.com/a/path/that/is/long";
  expect_wrapped("see " + address + " there", "see\n" + address + "\nthere");
  expect_wrapped(address + address + "\nb", address + address + "\nb");
}

TEST(Wrap, ALongWordIsNotHeldBackForEver) {
  WordWrap wrap(25);
  EXPECT_EQ(wrap.push(std::string(19, 'x')), "");
  EXPECT_EQ(wrap.push("x"), std::string(20, 'x'));
}

TEST(Wrap, WideCharactersBreakAnywhereAndFlow) {
  std::string eleven, ten;
  for (int i = 0; i < 10; ++i) ten += "漢";
  eleven = ten + "字";
  expect_wrapped(eleven, ten + "\n字");
  WordWrap wrap(25);
  EXPECT_EQ(wrap.push("漢字"), "漢") << "only the last character is held back";
}

TEST(Wrap, InvalidBytesPassAndLoseNothing) {
  expect_wrapped(
      "a\xff"
      "b \xc3",
      "a\xff"
      "b \xc3");
  expect_wrapped("\xe6\xbc", "\xe6\xbc");
}

TEST(Wrap, OffPassesEverything) {
  WordWrap off(0);
  const std::string text = "any text  of any\tlength and with trailing blanks  ";
  EXPECT_EQ(off.push(text), text);
  EXPECT_EQ(off.flush(), "");
  WordWrap narrow(20);
  EXPECT_EQ(narrow.push(text), text) << "too narrow for a sensible break";
}

TEST(DisplayWidth, CountsColumns) {
  EXPECT_EQ(display_width(""), 0U);
  EXPECT_EQ(display_width("aé漢"), 4U);
  EXPECT_EQ(display_width("e\u0301"), 1U);  // a combining accent
  EXPECT_EQ(display_width("\xff\xfe"), 2U);
}

TEST(Printable, ControlCharactersGoAndTextStays) {
  EXPECT_EQ(printable("a\n\tb é 漢"), "a\n\tb é 漢");
  EXPECT_EQ(printable("\x1b]0;title\x07\x1b[2J"), "]0;title[2J");
  EXPECT_EQ(printable("a\rb\x7f\u009b31m"), "ab31m");
  EXPECT_EQ(printable("a\x9b"
                      "b"),
            "a\xef\xbf\xbd"
            "b");
}

}  // namespace
}  // namespace hearth
