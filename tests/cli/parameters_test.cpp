#include "cli/parameters.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "base/error.h"
#include "cli/editor.h"
#include "cli/line_editor.h"

namespace hearth {
namespace {

TEST(Words, QuotesKeepBlanksAndEscapes) {
  EXPECT_EQ(words_of("stop \"a b\" c"), (std::vector<std::string>{"stop", "a b", "c"}));
  EXPECT_EQ(words_of("  \"x\\n\\\"\" \"\" "), (std::vector<std::string>{"x\n\"", ""}));
  EXPECT_TRUE(words_of(" \t").empty());
}

TEST(Parameters, SetsAndShowsInOrder) {
  Parameters p;
  EXPECT_EQ(p.set("temperature", {"0.5"}), "0.5");
  EXPECT_EQ(p.set("stop", {"A", "B\n"}), "A, B\n");
  EXPECT_EQ(p.set("num_predict", {"7"}), "7");
  p.set("temperature", {"0.25"});
  Request request;
  p.apply(request);
  EXPECT_EQ(request.sampling.options.at("temperature").as_double(), 0.25);
  EXPECT_EQ(request.stop, (std::vector<std::string>{"A", "B\n"}));
  EXPECT_EQ(request.max_tokens, 7U);
  EXPECT_NE(p.rows().find("temperature                    0.25\n"), std::string::npos);
  EXPECT_NE(p.rows().find("\"B\\n\""), std::string::npos);
}

TEST(Parameters, RefusesWhatTheWorkerWould) {
  Parameters p;
  EXPECT_THROW(p.set("temprature", {"1"}), Error);
  EXPECT_THROW(p.set("top_k", {"many"}), Error);
  EXPECT_THROW(p.set("top_k", {"1", "2"}), Error);
  EXPECT_THROW(p.set("temperature", {"-1"}), Error);
  EXPECT_THROW(p.set("num_ctx", {"4096"}), Error);
  EXPECT_THROW(p.set("stop", {""}), Error);
  EXPECT_TRUE(p.rows().empty());
}

TEST(Editor, GivesBackWhatTheProgramLeaves) {
  ::setenv("OLLAMA_EDITOR", "sed -i s/old/new/", 1);
  EXPECT_EQ(edit_in_program("an old text"), "an new text");
  ::setenv("OLLAMA_EDITOR", "false", 1);
  EXPECT_THROW(edit_in_program("kept"), Error);
  ::unsetenv("OLLAMA_EDITOR");
}

TEST(Editor, ABufferTakesAnotherText) {
  const std::vector<std::string> history;
  EditBuffer buffer(history);
  for (const char c : std::string("abc")) buffer.feed(c);
  EXPECT_EQ(buffer.feed('G' & 0x1f), EditBuffer::Event::edit);
  buffer.replace("x\xffy");
  EXPECT_EQ(buffer.text(), "x\xef\xbf\xbdy");
  EXPECT_EQ(buffer.cursor(), buffer.text().size());
}

}  // namespace
}  // namespace hearth
