#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Reading what the kernel writes: numbers, "key value" lines, lists. Nonsense is nothing.
namespace hearth {

std::string_view trimmed(std::string_view text) noexcept;
// "16252928000\n", "0x1002" with or without prefix when `base` is 16; nothing for anything else.
std::optional<uint64_t> parse_number(std::string_view text, int base = 10) noexcept;
uint64_t number_or(std::string_view text, uint64_t otherwise, int base = 10) noexcept;
// The value behind `key` in lines "key value", "key: value" or "key=value"; nothing = no such line.
std::optional<std::string> value_of(std::string_view text, std::string_view key);
uint64_t value_number(std::string_view text, std::string_view key, uint64_t otherwise = 0);
// The lines point into the text: it must outlive them.
std::vector<std::string_view> lines_in(std::string_view text);
std::vector<std::string_view> lines_in(std::string&& text) = delete;
std::vector<std::string> words_in(std::string_view text, std::string_view separators = " \t\n");
// "0-3,8,10-11" → 7; at most `most`.
uint32_t count_list(std::string_view text, uint32_t most = 65536) noexcept;

}  // namespace hearth
