// Who joins the running requests, and who waits.
#include "worker/sequences.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "reference.h"
#include "tasks.h"

namespace hearth::test {
namespace {

class Silent final : public TokenSink {
 public:
  bool token(TokenId, std::span<const float>) override { return true; }
  void finished(Finish) override {}
  void failed(const Error&) override {}
};

// The cache of one context, in which prompts are of so many pages.
class SequencesTest : public testing::Test {
 protected:
  uint32_t all() { return loaded.engine().plan().pages[0]; }
  Sequences::Begun begin(uint32_t tokens, uint32_t salt, uint32_t most = 100) {
    return sequences.begin(generating(sink, tokens_of(tokens, salt), most));
  }
  Sequences::Begun begin_pages(uint32_t pages, uint32_t salt) { return begin(pages * page_tokens - 5, salt); }
  bool waits(uint32_t pages, uint32_t salt) {
    try {
      begin_pages(pages, salt);
      return false;
    } catch (const Error& e) {
      EXPECT_EQ(e.code, Code::busy) << e.message;
      return true;
    }
  }

  RunOptions options() const {
    RunOptions o;
    o.parallel = 1;
    return o;
  }
  Reference reference{fixture("llama")};
  Loaded loaded{reference, options()};
  Sequences sequences{loaded.engine()};
  Silent sink;
};

TEST_F(SequencesTest, WhoJoinsLeavesAPageToEachThatRuns) {
  ASSERT_GE(all(), 8U);
  const SeqId first = begin_pages(all() - 5, 1).id;
  EXPECT_FALSE(waits(2, 2));
  EXPECT_TRUE(waits(2, 3)) << "one page would be left, for two that run";
  EXPECT_EQ(sequences.running(), 2U);
  EXPECT_FALSE(waits(1, 4));
  EXPECT_TRUE(waits(1, 5)) << "one page would be left, for three";
  sequences.remove(first);
  EXPECT_FALSE(waits(2, 3));
}

TEST_F(SequencesTest, WhoIsAloneTakesAllPages) {
  EXPECT_FALSE(waits(all(), 1));
  EXPECT_TRUE(waits(1, 2));
}

TEST_F(SequencesTest, WhatIsKeptForLaterGivesWay) {
  sequences.rest(begin_pages(all() / 2, 1).id);
  sequences.rest(begin_pages(all() / 2, 2).id);
  EXPECT_EQ(sequences.kept(), 2U);
  begin_pages(1, 3);
  EXPECT_EQ(sequences.kept(), 1U);
  EXPECT_FALSE(waits(all() / 2, 4));
  EXPECT_EQ(sequences.kept(), 0U);
}

TEST_F(SequencesTest, WhoGoesOnNeedsNoPagesForWhatIsKept) {
  const SeqId kept = begin(100, 1, 1).id;  // four pages
  drain(loaded.engine());
  sequences.rest(kept);
  begin_pages(all() - 6, 2);
  ASSERT_EQ(loaded.engine().free_pages(), 2U);
  EXPECT_EQ(begin(110, 1).cached, 96U) << "its own four pages and one to spare, of which four are kept";
  EXPECT_EQ(loaded.engine().free_pages(), 2U);
}

}  // namespace
}  // namespace hearth::test
