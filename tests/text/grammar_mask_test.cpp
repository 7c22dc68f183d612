// The masks against following each token on its own, over random vocabularies; ends; triggers; hostile
// grammars.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "text/grammar.h"

namespace hearth {

namespace {

std::vector<std::string> byte_tokens() {
  std::vector<std::string> tokens;
  for (int b = 0; b < 256; ++b) tokens.emplace_back(1, static_cast<char>(b));
  return tokens;
}

std::vector<bool> allowed_by(const GrammarFilter& filter, size_t size) {
  std::vector<uint64_t> words((size + 63) / 64 + 1, ~uint64_t{0});
  filter.mask(words);
  std::vector<bool> allowed(words.size() * 64);
  for (size_t i = 0; i < allowed.size(); ++i) allowed[i] = (words[i / 64] >> (i % 64) & 1) != 0;
  return allowed;
}

const char* const grammars[] = {
    "root ::= [a-c]* \"x\" | \"(\" root \")\"",
    "root ::= e\ne ::= t (\"+\" e)?\nt ::= [ab]{1,3} | \"(\" e \")\"",
    "root ::= p\np ::= \"a\" p \"a\" | \"b\" p \"b\" | \"c\"",
    "root ::= (\"a\" | \"ab\" | \"bc\" | \"\\\"\")+ \"c\"?",
    "root ::= [^a\"]{0,5} \"a\" .{2}",
    "root ::= s\ns ::= \"\\\"\" ch* \"\\\"\" (\"+\" s)?\nch ::= [^\"\\\\] | \"\\\\\" [\"nu]",
};

std::vector<std::string> random_tokens(std::mt19937& random) {
  std::vector<std::string> tokens = byte_tokens();
  tokens.insert(tokens.end(), {"", "<end>", "", "\xc3\xa9", "\xc3\xa9\"",
                               "\xa9"
                               "a",
                               "  ", "\"}", "\"},{\"", "{\"a", "null", "]]"});
  static const std::string letters = "abc()+x\"\\{}[]:, 10n";
  for (int i = 0; i < 300; ++i) {
    std::string token;
    for (size_t n = 1 + random() % 6; n > 0; --n) token += letters[random() % letters.size()];
    tokens.push_back(token);
  }
  return tokens;
}

// Every mask along a random text allows exactly the tokens that a new look at the whole text allows.
void compare(const Grammar& grammar, const std::vector<std::string>& tokens, std::mt19937& random,
             int steps) {
  const TokenId end{257};
  const auto table = TokenTable::create(tokens, {end});
  GrammarFilter filter(grammar, table);
  std::string text;
  for (int step = 0; step < steps; ++step) {
    const std::vector<bool> allowed = allowed_by(filter, tokens.size());
    const bool may_end = grammar.matches(text);
    EXPECT_EQ(filter.may_end(), may_end) << text;
    EXPECT_EQ(allowed[257], may_end) << text;
    std::vector<int32_t> choices;
    for (size_t i = 0; i < allowed.size(); ++i) {
      if (i == 257) continue;
      const bool expected = i < tokens.size() && !tokens[i].empty() && grammar.begins(text + tokens[i]);
      ASSERT_EQ(allowed[i], expected)
          << "after " << text << " token " << (i < tokens.size() ? tokens[i] : "beyond");
      if (expected) choices.push_back(static_cast<int32_t>(i));
    }
    EXPECT_EQ(filter.must_end(), choices.empty()) << text;
    if (choices.empty()) {
      EXPECT_TRUE(may_end) << "a dead end after " << text;
      break;
    }
    const TokenId token{choices[random() % choices.size()]};
    filter.accept(token);
    text += tokens[static_cast<size_t>(token.value)];
  }
}

TEST(GrammarMask, AllowsWhatTheGrammarAllows) {
  std::mt19937 random(7);
  for (int round = 0; round < 6; ++round)
    for (const char* text : grammars) compare(Grammar::from_gbnf(text), random_tokens(random), random, 12);
}

TEST(GrammarMask, AllowsWhatASchemaAllows) {
  std::mt19937 random(8);
  for (
      const char* schema :
      {"true",
       R"({"type":"object","properties":{"a":{"type":"string","maxLength":4},"ab":{"type":"array","items":{"$ref":"#"}},
                 "n":{"type":"integer","minimum":-3,"maximum":120}}})",
       R"({"type":"array","items":{"anyOf":[{"type":"string"},{"enum":["a","ab","n\""]},{"type":"null"}]}})"})
    for (int round = 0; round < 4; ++round)
      compare(Grammar::from_schema(json::parse(schema)), random_tokens(random), random, 25);
}

TEST(GrammarMask, SeveralTextsShareOneGrammar) {
  std::mt19937 random(9);
  const Grammar grammar = Grammar::json();
  const std::vector<std::string> tokens = random_tokens(random);
  const auto table = TokenTable::create(tokens, {TokenId{257}});
  GrammarFilter a(grammar, table), b(grammar, table);
  a.accept(TokenId{'{'});
  a.accept(TokenId{'"'});
  EXPECT_TRUE(allowed_by(a, tokens.size())['x']);
  EXPECT_FALSE(allowed_by(b, tokens.size())['x']);
  EXPECT_TRUE(allowed_by(b, tokens.size())['{']);
  {
    GrammarFilter c(grammar, table);
    c.accept(TokenId{'{'});
  }
  GrammarFilter d(grammar, table);
  EXPECT_FALSE(allowed_by(d, tokens.size())['}']);
}

TEST(GrammarMask, EndsAndTokensOutsideTheGrammar) {
  const auto table = TokenTable::create(byte_tokens(), {TokenId{0}});
  GrammarFilter filter(Grammar::from_gbnf("root ::= \"ab\""), table);
  EXPECT_FALSE(allowed_by(filter, 256)[0]);
  filter.accept(TokenId{'a'});
  filter.accept(TokenId{'b'});
  EXPECT_TRUE(filter.may_end());
  EXPECT_TRUE(filter.must_end());
  EXPECT_TRUE(allowed_by(filter, 256)[0]);
  EXPECT_FALSE(allowed_by(filter, 256)['a']);
  filter.accept(TokenId{0});
  EXPECT_TRUE(filter.may_end());
  filter.accept(TokenId{'x'});  // not allowed
  EXPECT_FALSE(filter.may_end());
  EXPECT_TRUE(allowed_by(filter, 256)[0]);
  EXPECT_FALSE(allowed_by(filter, 256)['x']);
  EXPECT_THROW(TokenTable::create(byte_tokens(), {TokenId{256}}), Error);
}

TEST(GrammarMask, TakesTheTokensOfATokenizer) {
  Vocabulary v;
  v.model = "llama";
  v.tokens = {"<unk>", "<s>", "</s>", "\u2581", "{", "}", "\u2581{", "{}", "a"};
  v.types = {TokenType::unknown, TokenType::control, TokenType::control};
  v.types.resize(v.tokens.size(), TokenType::normal);
  v.scores.resize(v.tokens.size(), 0);
  const auto tokenizer = Tokenizer::create(v);
  const auto table = TokenTable::create(*tokenizer);
  EXPECT_EQ(table->size(), v.tokens.size());
  GrammarFilter filter(Grammar::json(), table);
  EXPECT_EQ(allowed_by(filter, 9)[4], true);
  for (const size_t not_allowed : {0, 1, 2, 3, 5, 6, 8})
    EXPECT_FALSE(allowed_by(filter, 9)[not_allowed]) << not_allowed;
  filter.accept(TokenId{7});
  EXPECT_TRUE(filter.must_end());
  EXPECT_TRUE(allowed_by(filter, 9)[2]);
  EXPECT_FALSE(allowed_by(filter, 9)[4]);
}

// Tokens of whole and cut characters in strings with and without a bound.
TEST(GrammarMask, CountsCharactersOfSeveralBytes) {
  std::mt19937 random(10);
  std::vector<std::string> tokens = byte_tokens();
  tokens.emplace_back("");
  tokens.emplace_back("<end>");
  static const std::vector<std::string> parts = {"a",    "\"",       "\\",   "\u00e9", "\u4e2d", "\U0001f600",
                                                 "\x80", "\xe4\xb8", "\xf0", "\n",     " ",      "\xed\xa0"};
  for (int i = 0; i < 600; ++i) {
    std::string token;
    for (size_t n = 1 + random() % (i < 500 ? 5 : 40); n > 0; --n)
      token += parts[i < 500 ? random() % parts.size() : random() % 4 * random() % 2 + 3];
    tokens.push_back(token);
  }
  for (const char* schema : {R"({"type":"string","maxLength":7})", R"({"type":"string"})",
                             R"({"type":"string","minLength":3,"maxLength":60})"})
    for (int round = 0; round < 3; ++round)
      compare(Grammar::from_schema(json::parse(schema)), tokens, random, 30);
}

TEST(GrammarMask, WaitsForATrigger) {
  std::vector<std::string> tokens = byte_tokens();
  tokens.insert(tokens.end(), {"<tool", ">", ">{", ">{}", "l>x", "ol>{\"", "<<tool>"});
  const auto table = TokenTable::create(tokens, {TokenId{0}});
  GrammarFilter filter(Grammar::json(), table, {"<tool>", true});
  EXPECT_FALSE(filter.active());
  EXPECT_TRUE(allowed_by(filter, tokens.size())[256 + 3]);
  filter.accept(TokenId{'x'});
  filter.accept(TokenId{256});  // <tool
  std::vector<bool> allowed = allowed_by(filter, tokens.size());
  EXPECT_TRUE(allowed[0]);
  EXPECT_TRUE(allowed['x']);
  EXPECT_TRUE(allowed[256 + 2]);
  EXPECT_TRUE(allowed[256 + 3]);
  EXPECT_TRUE(allowed[256 + 4]);  // breaks the trigger off
  filter.accept(TokenId{256 + 2});
  EXPECT_TRUE(filter.active());
  allowed = allowed_by(filter, tokens.size());
  EXPECT_TRUE(allowed['"']);
  EXPECT_TRUE(allowed['}']);
  EXPECT_FALSE(allowed['x']);

  GrammarFilter cut(Grammar::json(), table, {"<tool>", true});
  for (const char c : std::string("<too")) cut.accept(TokenId{c});
  EXPECT_FALSE(allowed_by(cut, tokens.size())[256 + 4]);  // l>x: the grammar does not begin with x

  GrammarFilter switched(Grammar::json(), table, {"", false});
  EXPECT_TRUE(allowed_by(switched, tokens.size())['x']);
  switched.accept(TokenId{'x'});
  switched.set_active();
  EXPECT_FALSE(allowed_by(switched, tokens.size())['x']);
  EXPECT_TRUE(allowed_by(switched, tokens.size())['{']);
}

std::string times(const std::string& text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

TEST(GrammarHostile, IsRefusedOrFollowed) {
  const auto table = TokenTable::create(byte_tokens(), {TokenId{0}});
  std::string chain = "root ::= r0\n";
  for (int i = 0; i < 20000; ++i) chain += "r" + std::to_string(i) + " ::= r" + std::to_string(i + 1) + "\n";
  chain += "r20000 ::= \"a\" | \"(\" root \")\"\n";
  std::string doubling;
  for (int i = 0; i < 60; ++i)
    doubling += (i == 0 ? "root" : "r" + std::to_string(i)) + " ::= r" + std::to_string(i + 1) + " r" +
                std::to_string(i + 1) + "\n";
  doubling += "r60 ::= \"a\" | \"\"\n";
  const std::vector<std::string> texts = {
      "root ::= " + times("(", 100000),
      "root ::= " + times("(", 100) + "\"a\"" + times(")*", 100),
      "root ::= " + times("(", 100) + "\"a\"" + times("){1000}", 100),
      "root ::= " + times("(", 20) + "[a-z]?" + times("){0,1000000000}", 20),
      "root ::= ([a-z]{0,1000000000} \"a\"){1000000000}",
      "root ::= (\"a\" | \"a\" | \"a\" | \"aa\"){0,1000} \"b\"",
      "root ::= [ab]* \"a\" [ab]{40} \"c\"",
      "root ::= s\ns ::= \"a\" s \"x\" | \"a\" s \"y\" | \"a\" s \"z\" | \"a\"",
      "root ::= s\ns ::= \"a\" s s s | \"a\" s s | \"a\" | \"\"",
      "root ::= \"(\" root \")\" | \"a\"",
      times("root ::= \"a\"\n", 3),
      "root ::= " + times("\"a\" | ", 50000) + "\"a\"",
      "root ::= " + times("\"a\"? ", 3000),
      chain,
      doubling,
  };
  for (const std::string& text : texts) {
    try {
      const Grammar grammar = Grammar::from_gbnf(text);
      GrammarFilter filter(grammar, table);
      for (int i = 0; i < 300; ++i) {
        const std::vector<bool> allowed = allowed_by(filter, 256);
        bool any = false;
        for (int b = 0; b < 256; ++b) any |= allowed[static_cast<size_t>(b)];
        ASSERT_TRUE(any) << text.substr(0, 80);
        int32_t next = allowed['a'] ? 'a' : allowed['('] ? '(' : 0;
        if (next == 0) break;
        filter.accept(TokenId{next});
      }
    } catch (const Error& error) {
      EXPECT_EQ(error.code, Code::bad_request) << text.substr(0, 80);
    }
  }
}

TEST(GrammarHostile, NestingEndsBeforeItIsADeadEnd) {
  const auto table = TokenTable::create(byte_tokens(), {TokenId{0}});
  const Grammar grammar = Grammar::from_schema(json::parse(
      R"({"$ref":"#/$defs/T","$defs":{"T":{"type":"object","properties":{"t":{"anyOf":[{"$ref":"#/$defs/T"},{"type":"null"}]}},"required":["t"]}}})"));
  GrammarFilter filter(grammar, table);
  int opened = 0;
  std::string text;
  while (!filter.must_end() && text.size() < 100000) {
    const std::vector<bool> allowed = allowed_by(filter, 256);
    int32_t next = -1;
    for (const char c : std::string("{\"t:nul}"))  // as deep as it goes
      if (next < 0 && allowed[static_cast<size_t>(c)]) next = c;
    ASSERT_GE(next, 0) << "a dead end after " << text.size() << " bytes";
    opened += next == '{' ? 1 : 0;
    filter.accept(TokenId{next});
    text += static_cast<char>(next);
  }
  EXPECT_TRUE(filter.may_end());
  EXPECT_GT(opened, 100);
  EXPECT_LE(opened, 2000);
  EXPECT_TRUE(grammar.matches(text));
}

}  // namespace

}  // namespace hearth
