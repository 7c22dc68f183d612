#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hearth::text {

inline constexpr uint32_t kReplacement = 0xFFFD;
// What SentencePiece-like vocabularies write for a space: U+2581.
inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

struct Character {
  uint32_t code = kReplacement;
  uint32_t size = 1;  // bytes taken from the text
  bool valid = false;
};

// The character at `at` (< text.size()); by the strict rules: no overlong forms, no surrogates, at most
// U+10FFFF. A byte that begins no valid character counts alone.
Character decode_character(std::string_view text, size_t at) noexcept;

void append_utf8(std::string& out, uint32_t code);

// The length of the longest valid beginning.
size_t valid_utf8_size(std::string_view text) noexcept;

// Each byte that is not part of a valid character becomes U+FFFD.
std::string repaired_utf8(std::string_view text);

// Unicode White_Space.
bool is_white_space(uint32_t code) noexcept;

// ASCII only, as std::isspace in the C locale.
inline bool is_ascii_space(char c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r'); }

// The value of "<0xXX>", or -1.
int byte_token_value(std::string_view text) noexcept;

}  // namespace hearth::text
