// Any text as GBNF: it is refused with an Error, or its masks agree with its matcher and never lead into a
// dead end.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/grammar.h"

namespace hearth {
namespace {

constexpr int32_t end_token = 256;

const std::vector<std::string>& tokens() {
  static const auto made = [] {
    std::vector<std::string> all;
    for (int b = 0; b < 256; ++b) all.emplace_back(1, static_cast<char>(b));
    for (const char* more : {"", "ab", "aa", "a\"", "((", "\xc3\xa9", "\xa9", "abc abc", "1.5", "\n  "})
      all.emplace_back(more);
    return all;
  }();
  return made;
}

void run(std::string_view text) {
  static const auto table = TokenTable::create(tokens(), {TokenId{end_token}});
  const Grammar grammar = Grammar::from_gbnf(text);
  GrammarFilter filter(grammar, table);
  std::string made;
  uint32_t state = static_cast<uint32_t>(text.size()) + 1;
  for (int step = 0; step < 24; ++step) {
    std::vector<uint64_t> words((tokens().size() + 63) / 64, ~uint64_t{0});
    filter.mask(words);
    std::vector<int32_t> allowed;
    for (size_t i = 0; i < tokens().size(); ++i)
      if (i != end_token && (words[i / 64] >> (i % 64) & 1) != 0) allowed.push_back(static_cast<int32_t>(i));
    if (allowed.empty()) {
      if (!filter.may_end()) std::abort();
      return;
    }
    state = state * 1664525U + 1013904223U;
    const int32_t token = allowed[(state >> 8) % allowed.size()];
    filter.accept(TokenId{token});
    made += tokens()[static_cast<size_t>(token)];
    if (!grammar.begins(made) || grammar.matches(made) != filter.may_end()) std::abort();
  }
}

}  // namespace
}  // namespace hearth

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* input, size_t size) {
  try {
    hearth::run({reinterpret_cast<const char*>(input), size});
  } catch (const hearth::Error& error) {
    if (error.message.empty()) std::abort();
  }
  return 0;
}
