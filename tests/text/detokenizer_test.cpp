#include "text/detokenizer.h"

#include <gtest/gtest.h>

#include <random>

#include "text/tokenizer/utf8.h"
#include "tokenizer_support.h"

namespace hearth {

namespace {

const std::string kBroken = "\xEF\xBF\xBD";

std::vector<std::string> pushed(std::initializer_list<std::string_view> parts) {
  Utf8Stream stream;
  std::vector<std::string> out;
  for (auto part : parts) stream.push(part, out.emplace_back());
  stream.flush(out.emplace_back());
  return out;
}

TEST(Utf8Stream, HoldsHalvesBack) {
  EXPECT_EQ(pushed({"a\xE4", "\xBD", "\xA0z"}), (std::vector<std::string>{"a", "", "\u4f60z", ""}));
  EXPECT_EQ(pushed({"\xF0\x9F\x98", "\x80"}), (std::vector<std::string>{"", "\U0001F600", ""}));
}

TEST(Utf8Stream, ReplacesWhatCanBecomeNothing) {
  EXPECT_EQ(pushed({"\xE4\xBD", "x"}), (std::vector<std::string>{"", kBroken + kBroken + "x", ""}));
  EXPECT_EQ(pushed({"\xE4\xBD"}), (std::vector<std::string>{"", kBroken + kBroken}));
  EXPECT_EQ(pushed({"\xFF", "\x80"}), (std::vector<std::string>{kBroken, kBroken, ""}));
  EXPECT_EQ(pushed({"\xED\xA0"}), (std::vector<std::string>{kBroken + kBroken, ""}));
  EXPECT_EQ(pushed({"\xF4\x90"}), (std::vector<std::string>{kBroken + kBroken, ""}));
  EXPECT_EQ(pushed({"\xC3\xC3\xA9"}), (std::vector<std::string>{kBroken + "\u00E9", ""}));
}

// However bytes are cut, the result is that of repairing them all at once, and each part is valid.
TEST(Utf8Stream, DoesNotDependOnTheCuts) {
  std::mt19937 random(6);
  const char* const parts[] = {"a",    "\xC3\xA9", "\xE4\xBD\xA0", "\xF0\x9F\x98\x80",
                               "\xFF", "\xC3",     "\xE4\xBD",     "\xF0\x9F"};
  for (int round = 0; round < 2000; ++round) {
    std::string text, out;
    for (int i = 0; i < 8; ++i) text += parts[random() % std::size(parts)];
    Utf8Stream stream;
    for (size_t at = 0; at < text.size();) {
      const size_t size = 1 + random() % 3;
      std::string part;
      stream.push(std::string_view(text).substr(at, size), part);
      ASSERT_EQ(text::valid_utf8_size(part), part.size());
      out += part;
      at += size;
    }
    stream.flush(out);
    ASSERT_EQ(out, text::repaired_utf8(text));
  }
}

TEST(Detokenizer, LeadingSpace) {
  const auto tokenizer = Tokenizer::create(test::read_vocabulary_json("tokenizer_llama.json"));
  const auto ids = tokenizer->encode("the the", {true, false});
  const auto streamed = [&](DetokenizeOptions options) {
    Detokenizer detokenizer(*tokenizer, options);
    std::string out;
    for (TokenId id : ids) out += detokenizer.push(id);
    return out + detokenizer.flush();
  };
  EXPECT_EQ(streamed({}), "<s> the the");
  EXPECT_EQ(streamed({.start_of_text = true, .show_control = false}), "the the");
  EXPECT_EQ(streamed({.start_of_text = false, .show_control = false}), " the the");
}

TEST(Detokenizer, ByteTokensAndUnknownIds) {
  const auto tokenizer = Tokenizer::create(test::read_vocabulary_json("tokenizer_llama.json"));
  Detokenizer detokenizer(*tokenizer);
  const auto byte = [&](const char* spelled) { return *tokenizer->find(spelled); };
  EXPECT_EQ(detokenizer.push(byte("<0xE4>")), "");
  EXPECT_EQ(detokenizer.push(TokenId{-1}), "");
  EXPECT_EQ(detokenizer.push(byte("<0xBD>")), "");
  EXPECT_EQ(detokenizer.push(byte("<0xA0>")), "\u4f60");
  EXPECT_EQ(detokenizer.push(byte("<0xE4>")), "");
  EXPECT_EQ(detokenizer.flush(), kBroken);
  EXPECT_EQ(detokenizer.flush(), "");
}

}  // namespace

}  // namespace hearth
