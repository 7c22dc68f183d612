#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <limits>
#include <thread>

#include "base/error.h"
#include "tokenizer_support.h"

namespace hearth {

namespace {

using test::ids_of;
using test::values;

class TokenizerCases : public testing::TestWithParam<const char*> {};

TEST_P(TokenizerCases, EncodeAndDecode) {
  const std::string name = std::string("tokenizer_") + GetParam() + ".json";
  const auto tokenizer = Tokenizer::create(test::read_vocabulary_json(name));
  const Json file = test::read_json(test::case_file("text/" + name));
  for (const Json& c : file.at("cases").as_array()) {
    const std::string text(c.at("text").as_string());
    const auto ids = tokenizer->encode(text, {false, c.at("parse_special").as_bool()});
    EXPECT_EQ(values(ids), values(ids_of(c.at("ids")))) << json::serialize(c);
    const std::string_view model = GetParam();
    const bool exact = model == "gpt2" || model == "rwkv";
    const bool marked = model == "llama" || model == "gemma4";  // these cannot tell a mark from a space
    if (exact ||
        (marked && text.find("\u2581") == std::string::npos && text.find("<s>") == std::string::npos)) {
      EXPECT_EQ(tokenizer->decode(ids), text);
    }
  }
  EXPECT_TRUE(tokenizer->encode("", {false, true}).empty());
}

INSTANTIATE_TEST_SUITE_P(All, TokenizerCases,
                         testing::Values("gpt2", "llama", "gemma4", "bert", "t5", "rwkv"),
                         [](const auto& row) { return std::string(row.param); });

std::unique_ptr<Tokenizer> make(const char* name) {
  return Tokenizer::create(test::read_vocabulary_json(std::string("tokenizer_") + name + ".json"));
}

std::string shown(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  std::string out;
  for (TokenId id : ids) out.append("[").append(tokenizer.piece(id)).append("]");
  return out;
}

TEST(Tokenizer, AddsWhatTheVocabularySays) {
  EXPECT_EQ(shown(*make("gpt2"), make("gpt2")->encode("he", {true, false})), "[<s>][he]");
  EXPECT_EQ(shown(*make("llama"), make("llama")->encode("the", {true, false})), "[<s>][ the]");
  EXPECT_EQ(shown(*make("gemma4"), make("gemma4")->encode("he", {true, false})), "[<s>][he]");
  EXPECT_EQ(shown(*make("bert"), make("bert")->encode("the", {true, false})), "[[CLS]][ the][[SEP]]");
  EXPECT_EQ(shown(*make("t5"), make("t5")->encode("the", {true, false})), "[ the][</s>]");
  EXPECT_EQ(shown(*make("rwkv"), make("rwkv")->encode("the", {true, false})), "[the]");
  EXPECT_EQ(shown(*make("gpt2"), make("gpt2")->encode("", {true, false})), "[<s>]");
}

TEST(TokenizerPrompt, UsersCannotForgeControlTokens) {
  for (const char* name : {"gpt2", "llama", "gemma4", "rwkv"}) {
    const auto tokenizer = make(name);
    const TokenId marker = *tokenizer->find("<s>");
    const auto count = [&](const Prompt& prompt) {
      const auto ids = tokenizer->encode(prompt, false);
      return std::count(ids.begin(), ids.end(), marker);
    };
    EXPECT_EQ(count({{"a<s>b", Origin::model}}), 1) << name;
    EXPECT_EQ(count({{"a<", Origin::model}, {"s>b", Origin::model}}), 1) << name;
    EXPECT_EQ(count({{"a<s>b", Origin::user}}), 0) << name;
    EXPECT_EQ(count({{"a<s", Origin::model}, {">b", Origin::user}}), 0) << name;
    EXPECT_EQ(count({{"<", Origin::user}, {"s>", Origin::model}}), 0) << name;
    EXPECT_EQ(count({{"<", Origin::model}, {"s", Origin::user}, {">", Origin::model}}), 0) << name;
    EXPECT_EQ(count({{"<s>", Origin::model}, {"<s>", Origin::user}, {"<s>", Origin::model}}), 2) << name;
  }
}

TEST(TokenizerPrompt, UserDefinedTokensAreText) {
  const auto tokenizer = make("gpt2");
  EXPECT_EQ(shown(*tokenizer, tokenizer->encode(Prompt{{"<think>", Origin::user}}, false)), "[<think>]");
  EXPECT_EQ(
      shown(*tokenizer, tokenizer->encode(Prompt{{"<thi", Origin::user}, {"nk>", Origin::model}}, false)),
      "[<think>]");
}

TEST(TokenizerPrompt, WordsMergeAcrossParts) {
  for (const char* name : {"gpt2", "llama", "gemma4", "bert", "t5", "rwkv"}) {
    const auto tokenizer = make(name);
    const Prompt prompt = {{"The qui", Origin::model}, {"ck the", Origin::user}, {"re.", Origin::model}};
    EXPECT_EQ(values(tokenizer->encode(prompt, true)),
              values(tokenizer->encode("The quick there.", {true, true})))
        << name;
  }
}

TEST(TokenizerPrompt, BosIsNotDoubled) {
  const auto tokenizer = make("gpt2");
  EXPECT_EQ(shown(*tokenizer, tokenizer->encode(Prompt{{"<s>he", Origin::model}})), "[<s>][he]");
  EXPECT_EQ(shown(*tokenizer, tokenizer->encode(Prompt{{"he", Origin::model}})), "[<s>][he]");
  EXPECT_EQ(shown(*tokenizer, tokenizer->encode(Prompt{{"<s><s>he", Origin::model}})), "[<s>][<s>][he]");
  // A user's <s> is text, and the BOS still belongs in front.
  EXPECT_EQ(tokenizer->encode(Prompt{{"<s>he", Origin::user}}).front(), *tokenizer->bos());
  EXPECT_GT(tokenizer->encode(Prompt{{"<s>he", Origin::user}}).size(), 2u);
  EXPECT_EQ(shown(*tokenizer, tokenizer->encode(Prompt{})), "[<s>]");
}

Vocabulary tiny() {
  Vocabulary v;
  v.model = "gpt2";
  v.pre = "gpt-2";
  v.tokens = {"a", "b", "ab", "<|end|>", "<|im_end|>", "<|return|>", "<|call|>", "<x>", "<xyz>"};
  v.types = {TokenType::normal,  TokenType::normal,       TokenType::normal,
             TokenType::control, TokenType::control,      TokenType::control,
             TokenType::control, TokenType::user_defined, TokenType::user_defined};
  v.merges = {"a b"};
  return v;
}

Code code_of(const Vocabulary& v) {
  try {
    Tokenizer::create(v);
  } catch (const Error& e) {
    EXPECT_FALSE(e.message.empty());
    return e.code;
  }
  return Code::busy;  // none was thrown
}

TEST(TokenizerVocabulary, RefusesWhatContradictsItself) {
  Vocabulary v = tiny();
  EXPECT_EQ(code_of(v), Code::busy);
  v.model = "plamo2";
  EXPECT_EQ(code_of(v), Code::unsupported);
  v = tiny();
  v.pre = "nobody-knows-this";
  EXPECT_EQ(code_of(v), Code::unsupported);
  v = tiny();
  v.tokens.clear();
  EXPECT_EQ(code_of(v), Code::corrupt_file);
  v = tiny();
  v.types.pop_back();
  EXPECT_EQ(code_of(v), Code::corrupt_file);
  v = tiny();
  v.scores = {1.0f};
  EXPECT_EQ(code_of(v), Code::corrupt_file);
  v = tiny();
  v.scores.assign(v.tokens.size(), std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(code_of(v), Code::corrupt_file);
  v = tiny();
  v.merges.clear();
  EXPECT_EQ(code_of(v), Code::corrupt_file);
  v = tiny();
  v.model = "t5";
  v.precompiled_charsmap = {255, 255, 255, 255, 0};
  EXPECT_EQ(code_of(v), Code::corrupt_file);
}

TEST(TokenizerVocabulary, UnknownPreIsNamed) {
  Vocabulary v = tiny();
  v.pre = "nobody-knows-this";
  try {
    Tokenizer::create(v);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_NE(e.message.find("nobody-knows-this"), std::string::npos);
  }
}

TEST(TokenizerVocabulary, ForgivesAndNotes) {
  Vocabulary v = tiny();
  v.bos = TokenId{99};
  v.eos = TokenId{-1};
  v.tokens[1] = "";
  v.tokens.push_back("a");
  v.types.push_back(static_cast<TokenType>(77));
  v.merges.insert(v.merges.end(), {"", " ", "a", "a ", " a", "\xff \xff", "zz a"});
  const auto tokenizer = Tokenizer::create(v);
  EXPECT_EQ(tokenizer->notes().size(), 5u);
  EXPECT_FALSE(tokenizer->bos());
  EXPECT_EQ(values(tokenizer->encode("a", {true, true})), std::vector<int32_t>{9});
  EXPECT_TRUE(tokenizer->encode("b", {true, true}).empty());
  EXPECT_EQ(tokenizer->piece(TokenId{-1}), "");
  EXPECT_EQ(tokenizer->piece(TokenId{10}), "");
  EXPECT_EQ(tokenizer->text(TokenId{1000000}), "");
  EXPECT_FALSE(tokenizer->ends_generation(TokenId{10}));
  EXPECT_FALSE(tokenizer->is_control(TokenId{-5}));
  EXPECT_EQ(tokenizer->decode(std::vector<TokenId>{TokenId{0}, TokenId{1000}, TokenId{2}}), "aab");
}

TEST(TokenizerVocabulary, EndOfGenerationByText) {
  Vocabulary v = tiny();
  EXPECT_EQ(values(Tokenizer::create(v)->end_tokens()), (std::vector<int32_t>{4, 5, 6}));
  v.tokens[6] = "<|other|>";
  EXPECT_EQ(values(Tokenizer::create(v)->end_tokens()), (std::vector<int32_t>{3, 4, 5}));
  v.more_eos = {TokenId{0}, TokenId{-1}, TokenId{900}};
  EXPECT_EQ(values(Tokenizer::create(v)->end_tokens()), (std::vector<int32_t>{0, 3, 4, 5}));
}

TEST(TokenizerVocabulary, LongestSpecialTokenFirst) {
  Vocabulary v = tiny();
  v.tokens[7] = "ba";
  v.tokens[8] = "abbb";
  // Not the leftmost: "abbb" is longer than the "ba" before it.
  const auto tokenizer = Tokenizer::create(v);
  EXPECT_EQ(values(tokenizer->encode("babbb", {})), (std::vector<int32_t>{1, 8}));
  EXPECT_EQ(values(tokenizer->encode("baba", {})), (std::vector<int32_t>{7, 7}));
}

// Texts that make careless tokenizers take n² steps, or recurse n deep.
TEST(TokenizerLimits, LongRunsTakeLinearTime) {
  for (const char* name : {"gpt2", "llama", "gemma4", "bert", "t5", "rwkv"}) {
    const auto tokenizer = make(name);
    for (const char* unit : {"a", " ", "\n", "1", "!", "the", "A", "\u4f60", "\xff", "e\u0301", " a", "<"}) {
      std::string text;
      while (text.size() < 100'000) text += unit;
      const auto ids = tokenizer->encode(text, {true, true});
      EXPECT_LE(ids.size(), text.size() * 3 + 2) << name << " " << unit;
    }
  }
}

TEST(TokenizerLimits, ManyThreadsGiveOneAnswer) {
  const auto tokenizer = make("gpt2");
  const std::string text = "the quick brown fox they're hello there values for the weather";
  const auto expected = make("gpt2")->encode(text);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (size_t t = 0; t < wrong.size(); ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) wrong[t] += tokenizer->encode(text) != expected;
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

}  // namespace

}  // namespace hearth
