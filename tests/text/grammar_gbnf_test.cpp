#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "text/grammar.h"

namespace hearth {

namespace {

struct Case {
  const char* grammar;
  std::vector<std::string> matching, other;
};

TEST(GrammarGbnf, Matches) {
  const std::vector<Case> cases = {
      {R"(root ::= "a" | "bc")", {"a", "bc"}, {"", "b", "abc", "c"}},
      {R"(root ::= "a"* "b"+ "c"?)", {"b", "aab", "bbc", "aabbc"}, {"", "a", "acb", "bcc"}},
      {R"(root ::= "ab"{2,3})", {"abab", "ababab"}, {"ab", "abababab", "aba"}},
      {R"(root ::= [a-c]{2})", {"ab", "cc"}, {"a", "abc", "ad"}},
      {R"(root ::= [a-c]{2,})", {"ab", "ccab"}, {"a", "abd"}},
      {R"(root ::= "x"{,2} "y"{0})", {"", "x", "xx"}, {"xxx", "y"}},
      {R"(root ::= [^a-z"] .)", {"A.", "\u00e9x", "1\U0001f600"}, {"ax", "\"x", "A", "A\xff"}},
      {R"(root ::= [\]\-\\\n\t^])", {"]", "-", "\\", "\n", "\t", "^"}, {"n", "t", "["}},
      {R"(root ::= "\x41\u00e9\U0001F600\"\\\n")", {"A\u00e9\U0001f600\"\\\n"}, {"A"}},
      {R"(root ::= [\u0400-\u04ff]+)", {"\u0416", "\u0400\u04ff"}, {"a", "\u0500", "\xd0"}},
      {R"(root ::= ("a" | "b" ("c" | "d"))+)", {"a", "bc", "abdbc"}, {"b", "ad"}},
      {"root ::= a b # comment\n# more\na ::= \"1\"\n  | \"2\"\n\nb ::=\n  \"x\"\n  \"y\"",
       {"1xy", "2xy"},
       {"1x"}},
      {"root ::= \"(\" root \")\" | \"\"", {"", "()", "((()))"}, {"(", "())", ")("}},
      {"root ::= x \"!\"\nx ::= y*\ny ::= \"a\" | \"\"", {"!", "aaa!"}, {"", "a"}},
      {"root ::= e\ne ::= t (\"+\" e)?\nt ::= [0-9]+ | \"(\" e \")\"",
       {"1+2", "(1+(2))+33"},
       {"1+", "(1", "+1"}},
      {"root ::= a a\na ::= b?\nb ::= \"x\" | \"x\" \"y\"",
       {"", "x", "xy", "xx", "xyx", "xyxy"},
       {"y", "xxx"}},
      {"root ::= p\np ::= \"a\" p \"a\" | \"b\" p \"b\" | \"a\" | \"b\" | \"\"",
       {"", "a", "abba", "ababa", "bb"},
       {"ab", "abb"}},
      {"root ::= (\"a\"?){3} \"b\"", {"b", "ab", "aaab"}, {"aaaab"}},
      {"root ::= ((\"a\" | \"\")*)* \"b\"", {"b", "aaaaab"}, {"a"}},
  };
  for (const Case& c : cases) {
    const Grammar grammar = Grammar::from_gbnf(c.grammar);
    for (const std::string& text : c.matching) {
      EXPECT_TRUE(grammar.matches(text)) << c.grammar << " on " << text;
      for (size_t n = 0; n <= text.size(); ++n) EXPECT_TRUE(grammar.begins(text.substr(0, n))) << text;
    }
    for (const std::string& text : c.other)
      EXPECT_FALSE(grammar.matches(text)) << c.grammar << " on " << text;
  }
}

TEST(GrammarGbnf, CountsLargeRepetitionsExactly) {
  for (const auto& [min, max] : std::vector<std::pair<size_t, size_t>>{
           {0, 20000}, {9000, 9000}, {8191, 20001}, {10000, 30000}, {0, 8193}, {12289, 16384}}) {
    for (const char* what : {"\"a\"", "(\"a\" | \"bcdefghijklmnopqrstuvwxyz\")"}) {
      const Grammar grammar = Grammar::from_gbnf("root ::= " + std::string(what) + "{" + std::to_string(min) +
                                                 "," + std::to_string(max) + "}");
      for (const size_t n : {size_t{0}, size_t{1}, size_t{4095}, size_t{4096}, size_t{4097}, size_t{8192},
                             min - 1, min, min + 1, (min + max) / 2, max - 1, max, max + 1}) {
        if (n > 40000) continue;
        EXPECT_EQ(grammar.matches(std::string(n, 'a')), n >= min && n <= max)
            << what << min << "," << max << ": " << n;
      }
    }
  }
}

TEST(GrammarGbnf, ErrorsHaveAPlace) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {"", "there is no rule \"root\""},
      {"x ::= \"a\"", "there is no rule \"root\""},
      {"root ::= \"a\"\n  b c", "line 2, column 3: the rule \"b\" is not defined"},
      {"root ::= \"a", "line 1, column 10: a literal that does not end"},
      {"root ::= [a", "column 10: a class that does not end"},
      {"root ::= (\"a\"", "column 14: expected \")\", not the end"},
      {"root ::= \"a\")", "closes nothing"},
      {"root ::= *", "\"*\" repeats nothing"},
      {"root ::= \"a\"{3,2}", "minimum is above"},
      {"root ::= \"a\"{x}", "a repetition that is not"},
      {"root ::= \"a\"{99999999999}", "repetition of more"},
      {"root ::= \"\\q\"", "unknown escape"},
      {"root ::= \"\\uD800\"", "no Unicode character"},
      {"root ::= \"\\x4\"", "2 hexadecimal digits"},
      {"root ::= [z-a]", "runs backwards"},
      {"root ::= []", "no characters"},
      {"root ::= \"a\"\nroot ::= \"b\"", "line 2, column 1: the rule \"root\" is defined twice"},
      {"root \"a\"", "expected \"::=\""},
      {"= \"a\"", "expected the name of a rule"},
      {"root ::= \"\xff\"", "not valid UTF-8"},
      {"root ::= $", "unexpected \"$\""},
      {"root ::= root \"a\" | \"b\"", "the rule \"root\" begins with itself"},
      {"root ::= a\na ::= b? root\nb ::= \"x\"", "begins with itself, by way of"},
      {"root ::= \"a\" root", "no text matches"},
  };
  for (const auto& [grammar, message] : cases) {
    try {
      Grammar::from_gbnf(grammar);
      ADD_FAILURE() << "accepted: " << grammar;
    } catch (const Error& error) {
      EXPECT_NE(error.message.find(message), std::string::npos) << grammar << ": " << error.message;
      EXPECT_EQ(error.code, Code::bad_request);
      EXPECT_FALSE(error.remedy.empty());
    }
  }
}

}  // namespace

}  // namespace hearth
