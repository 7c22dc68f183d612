// What structured output costs per token on a vocabulary of 150,000 tokens: a mask that is known, one that is
// not known yet in a string, between tokens of JSON, in a string of bounded length, and a whole text.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "text/grammar.h"

namespace hearth {

namespace {

constexpr size_t vocabulary = 150'000;
constexpr int32_t end_token = 256;

// Bytes, punctuation as tokenizers of code and JSON have it, words with and without a space in front, words
// of two- and three-byte characters, parts of characters.
std::vector<std::string> made_tokens() {
  std::vector<std::string> tokens;
  std::set<std::string> known;
  const auto add = [&](const std::string& token) {
    if (tokens.size() < vocabulary && known.insert(token).second) tokens.push_back(token);
  };
  for (int b = 0; b < 256; ++b) add(std::string(1, static_cast<char>(b)));
  add("<end>");
  for (int n = 2; n <= 64; ++n) {
    add(std::string(static_cast<size_t>(n), ' '));
    add("\n" + std::string(static_cast<size_t>(n), ' '));
  }
  static const std::vector<std::string> marks = {"{",  "}",  "[", "]", "\"", ":", ",",
                                                 "\\", "\n", " ", "0", "1",  "(", ")"};
  for (const auto& a : marks)
    for (const auto& b : marks)
      for (const auto& c : marks) {
        add(a + b);
        add(a + b + c);
      }
  for (int n = 0; n < 1000; ++n) add(std::to_string(n));
  uint32_t state = 1;
  const auto random = [&](uint32_t below) {
    state = state * 1664525U + 1013904223U;
    return (state >> 8) % below;
  };
  while (tokens.size() < vocabulary) {
    std::string word;
    const uint32_t kind = random(20);
    const uint32_t length = 1 + random(5) + random(5);
    for (uint32_t i = 0; i < length; ++i) {
      if (kind < 13) {
        word += static_cast<char>('a' + random(26));
      } else if (kind < 16) {
        word += static_cast<char>(0xD0 + random(2));
        word += static_cast<char>(0x80 + random(64));
      } else {
        word += static_cast<char>(0xE4 + random(5));
        word += static_cast<char>(0x80 + random(64));
        word += static_cast<char>(0x80 + random(64));
        if (i == 2) break;
      }
    }
    if (kind == 19) word.pop_back();
    if (kind == 12) word += random(2) == 0 ? "\"," : "\":";
    add(word);
    add(" " + word);
    if (kind == 0) word[0] = static_cast<char>(word[0] - 32);
    add(word);
  }
  return tokens;
}

const std::shared_ptr<const TokenTable>& table() {
  static const auto made = TokenTable::create(made_tokens(), {TokenId{end_token}});
  return made;
}

const char* const schema = R"({"type": "object", "properties": {
  "name": {"type": "string"}, "note": {"type": "string", "maxLength": 400}, "age": {"type": "integer", "minimum": 0},
  "tags": {"type": "array", "items": {"type": "string"}}, "kind": {"enum": ["alpha", "beta", "gamma"]},
  "child": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
  "required": ["name", "note", "age", "tags", "kind", "child"], "additionalProperties": false})";

void follow(GrammarFilter& filter, const std::string& text) {
  for (const char c : text) filter.accept(TokenId{static_cast<uint8_t>(c)});
}

void build_table(benchmark::State& state) {
  const std::vector<std::string> tokens = made_tokens();
  for (auto _ : state) benchmark::DoNotOptimize(TokenTable::create(tokens, {TokenId{end_token}}));
}
BENCHMARK(build_table)->Unit(benchmark::kMillisecond);

void compile_schema(benchmark::State& state) {
  const Json parsed = json::parse(schema);
  for (auto _ : state) benchmark::DoNotOptimize(Grammar::from_schema(parsed));
}
BENCHMARK(compile_schema)->Unit(benchmark::kMicrosecond);

// A new grammar each time, so that nothing is known of the place after the text.
void first_mask(benchmark::State& state, const std::string& text, bool any_json) {
  const Json parsed = json::parse(schema);
  std::vector<uint64_t> words((vocabulary + 63) / 64);
  for (auto _ : state) {
    state.PauseTiming();
    const Grammar grammar = any_json ? Grammar::json() : Grammar::from_schema(parsed);
    GrammarFilter filter(grammar, table());
    follow(filter, text);
    std::fill(words.begin(), words.end(), ~uint64_t{0});
    state.ResumeTiming();
    filter.mask(words);
    benchmark::DoNotOptimize(words.data());
  }
}
BENCHMARK_CAPTURE(first_mask, start, "", false)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(first_mask, in_a_key, R"({"na)", false)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(first_mask, in_a_string, R"({"name": "A)", false)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(first_mask, in_a_bounded_string, R"({"name": "A", "note": "x)", false)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(first_mask, in_a_number, R"({"name": "A", "note": "x", "age": 1)", false)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(first_mask, json_in_a_string, R"({"a": [{"b": "x)", true)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(first_mask, json_before_a_value, R"({"a": )", true)->Unit(benchmark::kMicrosecond);

void known_mask(benchmark::State& state) {
  GrammarFilter filter(Grammar::from_schema(json::parse(schema)), table());
  follow(filter, R"({"name": "A)");
  std::vector<uint64_t> words((vocabulary + 63) / 64, ~uint64_t{0});
  for (auto _ : state) {
    filter.mask(words);
    benchmark::DoNotOptimize(words.data());
  }
}
BENCHMARK(known_mask)->Unit(benchmark::kMicrosecond);

// A text of 4-byte tokens; the time is per token. Argument 0: the first text of its grammar; 1: a later one.
void whole_text(benchmark::State& state) {
  std::string text = R"({"name": "Ada Lovelace", "note": ")";
  for (int i = 0; i < 60; ++i) text += "words ";
  text +=
      R"(", "age": 36, "tags": ["one", "two", "three"], "kind": "beta", "child": {"name": "B", "note": "short",)"
      R"( "age": 3, "tags": [], "kind": "alpha", "child": null}})";
  std::vector<uint64_t> words((vocabulary + 63) / 64);
  const Json parsed = json::parse(schema);
  Grammar grammar = Grammar::from_schema(parsed);
  size_t tokens = 0;
  for (auto _ : state) {
    if (state.range(0) == 0) grammar = Grammar::from_schema(parsed);
    GrammarFilter filter(grammar, table());
    for (size_t i = 0; i < text.size(); ++i) {
      if (i % 4 == 0) {
        std::fill(words.begin(), words.end(), ~uint64_t{0});
        filter.mask(words);
        ++tokens;
      }
      filter.accept(TokenId{static_cast<uint8_t>(text[i])});
    }
    if (!filter.must_end()) state.SkipWithError("the text is not one of the schema's");
  }
  state.counters["per_token"] = benchmark::Counter(static_cast<double>(tokens),
                                                   benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(whole_text)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

}  // namespace

}  // namespace hearth

BENCHMARK_MAIN();
