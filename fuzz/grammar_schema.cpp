// Any JSON as a schema: it is refused with an Error, or what its masks allow parses as JSON and never leads
// into a dead end.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "text/grammar.h"

namespace hearth {
namespace {

constexpr int32_t end_token = 256;

const std::vector<std::string>& tokens() {
  static const auto made = [] {
    std::vector<std::string> all;
    for (int b = 0; b < 256; ++b) all.emplace_back(1, static_cast<char>(b));
    for (const char* more :
         {"", "\",\"", "\":", "\"}", "}}", "],", "null", "ab", "\xc3\xa9", "\xa9\"", "\\u00", "1.5", "\n  "})
      all.emplace_back(more);
    return all;
  }();
  return made;
}

// Early tokens at random, later ones that close what is open.
int32_t choose(const std::vector<uint64_t>& words, int step, uint32_t random) {
  std::vector<int32_t> allowed, closing;
  for (size_t i = 0; i < tokens().size(); ++i) {
    if (i == end_token || (words[i / 64] >> (i % 64) & 1) == 0) continue;
    allowed.push_back(static_cast<int32_t>(i));
    if (tokens()[i].find_first_of("\"}]") == 0) closing.push_back(static_cast<int32_t>(i));
  }
  const auto& from = step > 30 && !closing.empty() ? closing : allowed;
  return from.empty() ? -1 : from[random % from.size()];
}

void run(const Json& schema, uint32_t state) {
  static const auto table = TokenTable::create(tokens(), {TokenId{end_token}});
  const Grammar grammar = Grammar::from_schema(schema);
  GrammarFilter filter(grammar, table);
  std::string made;
  for (int step = 0; step < 80; ++step) {
    std::vector<uint64_t> words((tokens().size() + 63) / 64, ~uint64_t{0});
    filter.mask(words);
    state = state * 1664525U + 1013904223U;
    const int32_t token = choose(words, step, state >> 8);
    if (filter.may_end()) {
      json::error_code error;
      json::parse_options options;
      options.max_depth = 4096;
      json::parse(made, error, {}, options);
      if (error) std::abort();
      if (token < 0) return;
    }
    if (token < 0) std::abort();
    filter.accept(TokenId{token});
    made += tokens()[static_cast<size_t>(token)];
  }
}

}  // namespace
}  // namespace hearth

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* input, size_t size) {
  hearth::json::error_code error;
  hearth::json::parse_options options;
  options.max_depth = 500;
  const hearth::Json schema =
      hearth::json::parse({reinterpret_cast<const char*>(input), size}, error, {}, options);
  if (error) return 0;
  try {
    hearth::run(schema, static_cast<uint32_t>(size));
  } catch (const hearth::Error& refused) {
    if (refused.message.empty()) std::abort();
  }
  return 0;
}
