#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// Code points of UTF-8 text. Invalid bytes never fail: each is a character of its own without properties.
namespace hearth::tmpl {

// What decode returns for a byte that does not belong to well-formed UTF-8.
constexpr char32_t invalid_byte = 0xFFFFFFFF;

// The character at `at` (< text.size()); moves `at` behind it.
char32_t decode(std::string_view text, size_t& at);

void encode(char32_t point, std::string& out);

// Number of characters: bytes that do not continue one.
size_t count_characters(std::string_view text);

// Byte offset of the character number `index`, text.size() when there are fewer.
size_t offset_of(std::string_view text, size_t index);

// Whether a byte continues a character.
constexpr bool continues(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

bool is_space(char32_t point);  // what Python's strip() removes
bool is_letter(char32_t point);
bool is_digit(char32_t point);
bool is_decimal(char32_t point);
bool is_upper(char32_t point);
bool is_lower(char32_t point);
bool is_title(char32_t point);
bool is_cased(char32_t point);
bool is_case_ignorable(char32_t point);

// Full case mappings (one character may become three), appended to `out`.
void append_upper(char32_t point, std::string& out);
void append_lower(char32_t point, std::string& out);
void append_title(char32_t point, std::string& out);

}  // namespace hearth::tmpl
