#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth {

struct StopResult {
  std::string text;            // may be shown; never holds any of a stop string
  std::optional<size_t> stop;  // which stop string was met (its place in the list)
};

// Looks for stop strings in a text that comes in pieces. The stop string that is complete first wins; of
// several complete at the same byte, the longest. The result does not depend on where the pieces are cut.
class StopScanner {
 public:
  // Empty strings are ignored.
  explicit StopScanner(std::vector<std::string> stops);

  // What may be shown now. Text that might be the beginning of a stop string is held back. After a stop was
  // met, everything else is dropped.
  StopResult push(std::string_view text);
  // What was held back, when the text ends without a stop. The scanner is then as new.
  std::string flush();

 private:
  struct Pattern {
    std::string text;
    std::vector<uint32_t>
        fallback;          // [length]: the longest proper prefix that is also a suffix of text[0..i]
    uint32_t matched = 0;  // how much of text the input ends with
  };

  std::vector<Pattern> patterns_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace hearth
