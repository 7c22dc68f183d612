// Random schemas, random choices among what the mask allows: the text always parses and is valid, and there
// is always something to choose.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "schema_validator.h"
#include "text/grammar.h"

namespace hearth {

namespace {

using Random = std::mt19937;

class Schemas {
 public:
  explicit Schemas(Random& random) : random_(random) {}

  Json root() {
    json::object schema = any(3);
    schema["$defs"] = json::object{{"D", any(2)}, {"L", list()}};
    return schema;
  }

 private:
  uint32_t below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }

  json::object any(int depth) {
    switch (below(depth > 0 ? 14 : 8)) {
      case 0: return string();
      case 1: return number("integer");
      case 2: return number("number");
      case 3: return {{"type", "boolean"}};
      case 4: return {{"enum", {"a", "\"q\"", 1, nullptr, 2.5, {{"x", {1}}}}}};
      case 5: return {{"const", std::string("\u00e9\n") + static_cast<char>('a' + below(3))}};
      case 6: return {{"type", {"string", "null", "integer"}}, {"minLength", 2}, {"maximum", 40}};
      case 7: return {{"$ref", below(2) == 0 ? "#/$defs/D" : "#/$defs/L"}};
      case 8:
      case 9: return object(depth);
      case 10: return array(depth);
      case 11: return {{"anyOf", {any(depth - 1), any(depth - 1)}}};
      case 12: return {{"allOf", {object(depth), {{"description", "d"}}}}};
      default: return {{"$ref", "#/$defs/L"}, {"title", "T"}};
    }
  }

  // Refers to itself, and can end.
  json::object list() {
    return {
        {"type", "object"},
        {"properties", {{"v", any(0)}, {"next", {{"anyOf", {{{"$ref", "#/$defs/L"}}, {{"type", "null"}}}}}}}},
        {"required", {"next"}},
        {"additionalProperties", false}};
  }

  json::object string() {
    json::object schema{{"type", "string"}};
    switch (below(5)) {
      case 0: schema["minLength"] = below(4); break;
      case 1: schema["maxLength"] = below(12); break;
      case 2:
        schema["pattern"] =
            std::vector<const char*>{"^[a-c]{2,3}$", "^(x|yz)+-\\d$", "b", "^a.?\\\\$"}[below(4)];
        break;
      default: break;
    }
    return schema;
  }

  json::object number(const char* type) {
    json::object schema{{"type", type}};
    const int low = static_cast<int>(below(400)) - 200;
    if (below(2) == 0) schema[below(2) == 0 ? "minimum" : "exclusiveMinimum"] = low;
    if (below(2) == 0) schema["maximum"] = low + 2 + static_cast<int>(below(500));
    if (below(3) == 0 && std::string(type) == "number") schema["exclusiveMaximum"] = low + 2.25;
    return schema;
  }

  json::object object(int depth) {
    json::object properties;
    json::array required;
    for (const char* name : {"a", "ab", "\u00fc", "q\"q", "last one"}) {
      if (below(2) == 0) continue;
      properties[name] = any(depth - 1);
      if (below(2) == 0) required.emplace_back(name);
    }
    json::object schema{{"type", "object"}, {"properties", properties}, {"required", required}};
    if (below(3) == 0) schema["additionalProperties"] = false;
    if (below(4) == 0) schema["additionalProperties"] = any(depth - 1);
    return schema;
  }

  json::object array(int depth) {
    json::object schema{{"type", "array"}};
    if (below(4) > 0) schema["items"] = any(depth - 1);
    if (below(3) == 0) schema["prefixItems"] = {any(depth - 1), any(0)};
    if (below(2) == 0) schema["minItems"] = below(3);
    if (below(2) == 0) schema["maxItems"] = 3 + below(3);
    return schema;
  }

  Random& random_;
};

std::vector<std::string> vocabulary(Random& random) {
  std::vector<std::string> tokens;
  for (int b = 0; b < 256; ++b) tokens.emplace_back(1, static_cast<char>(b));
  tokens.insert(tokens.end(), {"<end>",        "",         "\",\"",
                               "\":",          "\": ",     "\": \"",
                               "{\"",          "\"}",      "}}",
                               "]}",           "],",       "},",
                               "null",         "true",     "false",
                               ", \"",         ",\n  \"",  "\n}",
                               "next",         "\xc3",     "\xa9\"",
                               "\\u00",        "\\\"",     "12",
                               "-1",           "0.",       "ab",
                               "a\"",          "last ",    "one\"",
                               "\u4e2d\u6587", "\xe4\xb8", "{\"next\":null}"});
  for (int i = 0; i < 200; ++i) {
    std::string word;
    for (uint32_t n = 1 + static_cast<uint32_t>(random() % 5); n > 0; --n)
      word += static_cast<char>('a' + random() % 26);
    tokens.push_back(word);
  }
  return tokens;
}

// Likes to end: long texts choose among the tokens that close something.
int32_t choose(const std::vector<uint64_t>& words, const std::vector<std::string>& tokens, size_t length,
               Random& random) {
  std::vector<int32_t> all, closing;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if ((words[i / 64] >> (i % 64) & 1) == 0) continue;
    all.push_back(static_cast<int32_t>(i));
    if (tokens[i].find_first_of("\"}]") != std::string::npos || tokens[i] == "null" || i == 256)
      closing.push_back(static_cast<int32_t>(i));
  }
  if (all.empty()) return -1;
  const std::vector<int32_t>& from = length > 200 && !closing.empty() && random() % 4 != 0 ? closing : all;
  return from[random() % from.size()];
}

TEST(GrammarProperty, WhatIsGeneratedIsValid) {
  Random random(20240607);
  const std::vector<std::string> tokens = vocabulary(random);
  const auto table = TokenTable::create(tokens, {TokenId{256}});
  int finished = 0, texts = 0, refused = 0;
  for (int round = 0; round < 400; ++round) {
    const Json schema = Schemas(random).root();
    std::optional<Grammar> grammar;
    try {
      grammar = Grammar::from_schema(schema);
    } catch (const Error& error) {
      ++refused;
      EXPECT_TRUE(error.message.find("no text matches") != std::string::npos ||
                  error.message.find("no number") != std::string::npos ||
                  error.message.find("begins with itself") != std::string::npos)
          << error.what() << "\n"
          << json::serialize(schema);
      continue;
    }
    for (int i = 0; i < 4; ++i) {
      ++texts;
      GrammarFilter filter(*grammar, table);
      std::string text;
      std::vector<uint64_t> words((tokens.size() + 63) / 64);
      bool ended = false;
      for (int step = 0; step < 1500 && !ended; ++step) {
        std::fill(words.begin(), words.end(), ~uint64_t{0});
        filter.mask(words);
        const int32_t token = choose(words, tokens, text.size(), random);
        ASSERT_GE(token, 0) << "a dead end: " << json::serialize(schema) << "\n" << text;
        ended = token == 256 || (filter.may_end() && random() % 2 == 0);
        ASSERT_TRUE(token != 256 || filter.may_end());
        if (ended) break;
        filter.accept(TokenId{token});
        text += tokens[static_cast<size_t>(token)];
      }
      if (!ended) continue;
      ++finished;
      json::error_code error;
      json::parse_options options;
      options.max_depth = 2000;
      const Json value = json::parse(text, error, {}, options);
      ASSERT_FALSE(error) << error.message() << "\n" << text;
      EXPECT_EQ(test::why_invalid(value, schema, schema), "") << json::serialize(schema) << "\n" << text;
    }
  }
  EXPECT_GT(finished, texts * 3 / 4);
  EXPECT_LT(refused, 150);
}

}  // namespace

}  // namespace hearth
