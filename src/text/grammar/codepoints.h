#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::grammar {

// Both ends belong to it.
struct CodepointRange {
  char32_t first = 0, last = 0;
};

struct ByteRange {
  uint8_t first = 0, last = 0;
};

// A set of Unicode scalar values (0 … 10FFFF without the surrogates), kept as sorted, separate ranges.
class CodepointSet {
 public:
  CodepointSet() = default;
  // Ranges in any order; surrogates and what lies above 10FFFF are dropped.
  explicit CodepointSet(const std::vector<CodepointRange>& ranges);
  static CodepointSet all();
  static CodepointSet of(char32_t codepoint) { return CodepointSet({{codepoint, codepoint}}); }

  bool empty() const noexcept { return ranges_.empty(); }
  bool contains(char32_t codepoint) const noexcept;
  std::span<const CodepointRange> ranges() const noexcept { return ranges_; }

  CodepointSet inverted() const;
  CodepointSet minus(const CodepointSet& other) const;
  CodepointSet intersected(const CodepointSet& other) const;
  CodepointSet joined(const CodepointSet& other) const;

 private:
  std::vector<CodepointRange> ranges_;
};

// Calls `emit` with sequences of 1 to 4 byte ranges; together they match exactly the UTF-8 forms of the
// range.
void utf8_sequences(CodepointRange range, const std::function<void(std::span<const ByteRange>)>& emit);

// Appends the UTF-8 form of a scalar value.
void append_utf8(std::string& text, char32_t codepoint);

// Takes the first code point off the text. Throws Error(bad_request) where the text is not UTF-8.
char32_t take_codepoint(std::string_view& text);

}  // namespace hearth::grammar
