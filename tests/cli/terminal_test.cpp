#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "cli/environment.h"
#include "cli/history.h"
#include "cli/human.h"
#include "cli/line_editor.h"
#include "cli/statistics.h"
#include "cli/wrap.h"

namespace hearth {
namespace {

TEST(Human, Sizes) {
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(1000), "1 KB");
  EXPECT_EQ(human_bytes(4'700'000'000), "4.7 GB");
  EXPECT_EQ(human_bytes(13'900'000'000), "13 GB");
  EXPECT_EQ(human_bytes(2'000'000'000), "2 GB");
}

TEST(Human, Counts) {
  EXPECT_EQ(human_count(3'200'000'000), "3.2B");
  EXPECT_EQ(human_count(7'000'000'000), "7B");
  EXPECT_EQ(human_count(133'700'000), "133.70M");
  EXPECT_EQ(human_count(512'000), "512K");
}

TEST(Human, Durations) {
  EXPECT_EQ(human_duration(1.2345), "1.2345s");
  EXPECT_EQ(human_duration(0.3501), "350.1ms");
  EXPECT_EQ(human_duration(123.4), "2m3.4s");
  EXPECT_EQ(human_duration(3723), "1h2m3s");
  EXPECT_EQ(human_duration(0), "0s");
}

TEST(Statistics, LabelsAreWhatScriptsParse) {
  Statistics s;
  s.total = 1.5;
  s.prompt_tokens = 10;
  s.prompt = 0.5;
  s.generated_tokens = 20;
  s.generation = 2;
  EXPECT_EQ(statistics_text(s),
            "total duration:       1.5s\n"
            "prompt eval count:    10 token(s)\n"
            "prompt eval duration: 500ms\n"
            "prompt eval rate:     20.00 tokens/s\n"
            "eval count:           20 token(s)\n"
            "eval duration:        2s\n"
            "eval rate:            10.00 tokens/s\n");
}

TEST(Environment, HearthWinsAndWordsAreUnderstood) {
  ::setenv("OLLAMA_XTEST", " \"off\" ", 1);
  EXPECT_EQ(setting("XTEST"), "off");
  EXPECT_FALSE(bool_setting("XTEST", true));
  ::setenv("HEARTH_XTEST", "Yes", 1);
  EXPECT_TRUE(bool_setting("XTEST", false));
  ::setenv("HEARTH_XTEST", "perhaps", 1);
  EXPECT_TRUE(bool_setting("XTEST", true));
  EXPECT_EQ(uint_setting("XTEST", 5), 5U);
  ::setenv("HEARTH_XTEST", "12", 1);
  EXPECT_EQ(uint_setting("XTEST", 5), 12U);
  ::unsetenv("HEARTH_XTEST");
  ::unsetenv("OLLAMA_XTEST");
  EXPECT_EQ(setting("XTEST"), "");
}

TEST(WordWrap, BreaksAtWordsWhereverTheTextIsCut) {
  const std::string text =
      "The quick brown fox jumps over the lazy dog and then\nrests for  a while under trees";
  for (size_t piece = 1; piece < 9; ++piece) {
    WordWrap wrap(25);  // 20 columns
    std::string out;
    for (size_t at = 0; at < text.size(); at += piece) out += wrap.push(text.substr(at, piece));
    out += wrap.flush();
    EXPECT_EQ(out, "The quick brown fox\njumps over the lazy\ndog and then\nrests for  a while\nunder trees")
        << piece;
  }
  WordWrap off(0);
  EXPECT_EQ(off.push(text), text);
  EXPECT_EQ(display_width("aé漢"), 4U);
}

class HistoryTest : public testing::Test {
 protected:
  HistoryTest()
      : folder_(std::filesystem::temp_directory_path() / ("hearth-history-" + std::to_string(::getpid()))) {}
  ~HistoryTest() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_;
};

TEST_F(HistoryTest, KeepsTheLastHundredAndSurvives) {
  const auto file = folder_ / "sub" / "history";
  {
    History history(file);
    for (int i = 0; i < 120; ++i) history.add("entry " + std::to_string(i));
    history.add("two\nlines \\ and a backslash");
    history.add("two\nlines \\ and a backslash");
  }
  const History again(file);
  ASSERT_EQ(again.entries().size(), 100U);
  EXPECT_EQ(again.entries().back(), "two\nlines \\ and a backslash");
  EXPECT_EQ(again.entries()[98], "entry 119");
}

TEST_F(HistoryTest, AnUnwritablePlaceIsNoError) {
  std::ofstream(folder_) << "a file where the folder should be";
  History history(folder_ / "history");
  history.add("kept in memory");
  EXPECT_EQ(history.entries().size(), 1U);
}

// Feeds keys; returns the text with | at the cursor.
class Keys {
 public:
  std::string operator()(const std::string& keys) {
    for (const char c : keys) last = buffer_.feed(c);
    std::string shown = buffer_.text();
    return shown.insert(buffer_.cursor(), "|");
  }
  EditBuffer::Event last = EditBuffer::Event::none;

 private:
  std::vector<std::string> history_{"first", "second"};
  EditBuffer buffer_{history_};
};

TEST(EditBuffer, MovesAndDeletes) {
  Keys type;
  EXPECT_EQ(type("hello world"), "hello world|");
  EXPECT_EQ(type("\x1b[D\x1b[D"), "hello wor|ld");
  EXPECT_EQ(type("\x01"), "|hello world");
  EXPECT_EQ(type("\x1b"
                 "f"),
            "hello| world");
  EXPECT_EQ(type("\x17"), "| world");
  EXPECT_EQ(type("\x05!"), " world!|");
  EXPECT_EQ(type("\x1b"
                 "b\x0b"),
            " |");
  EXPECT_EQ(type("abc\x02\x02\x1b[3~"), " a|c");
  EXPECT_EQ(type("\x15"), "|c");
  EXPECT_EQ(type("\x7f"), "|c");
  EXPECT_EQ(type("\x1b[F\x7f"), "|");
}

TEST(EditBuffer, CharactersAreWhole) {
  Keys type;
  EXPECT_EQ(type("aü漢"), "aü漢|");
  EXPECT_EQ(type("\x1b[D"), "aü|漢");
  EXPECT_EQ(type("\x7f"), "a|漢");
  EXPECT_EQ(type("\x06\x7f"), "a|");
}

TEST(EditBuffer, HistoryAndDraft) {
  Keys type;
  EXPECT_EQ(type("draft\x1b[A"), "second|");
  EXPECT_EQ(type("\x10\x10\x10"), "first|");
  EXPECT_EQ(type("\x0e\x1b[B"), "draft|");
}

TEST(EditBuffer, LinesPasteAndEvents) {
  Keys type;
  EXPECT_EQ(type("a\nb"), "a\nb|");
  EXPECT_EQ(type("\x1b[200~x\ry\x1b[201~"), "a\nbx\ny|");
  type("\r");
  EXPECT_EQ(type.last, EditBuffer::Event::submit);
  type("\x03");
  EXPECT_EQ(type.last, EditBuffer::Event::interrupt);
  Keys empty;
  empty("\x04");
  EXPECT_EQ(empty.last, EditBuffer::Event::end_of_file);
}

}  // namespace
}  // namespace hearth
