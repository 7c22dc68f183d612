#include "text/template/gotemplate/literal.h"

#include <charconv>

#include "text/template/unicode.h"

namespace hearth::gotmpl {
namespace {

constexpr size_t npos = std::string_view::npos;

// The digits without their underscores; nothing where one stands at an edge or doubled.
std::optional<std::string> without_underscores(std::string_view digits) {
  std::string plain;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (digits[i] != '_') {
      plain += digits[i];
      continue;
    }
    if (i + 1 == digits.size() || digits[i + 1] == '_') return {};
  }
  return plain;
}

template <class T, class Format>
std::optional<T> parsed(std::string_view text, Format format) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, format);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return {};
  return value;
}

struct Base {
  int base;
  size_t prefix;
};

Base base_of(std::string_view digits) {
  if (digits.size() < 2 || digits[0] != '0') return {10, 0};
  switch (digits[1] | 0x20) {
    case 'x': return {16, 2};
    case 'o': return {8, 2};
    case 'b': return {2, 2};
    default: return {8, 1};
  }
}

std::optional<Value> float_of(std::string_view digits, bool negative) {
  const bool hexadecimal = base_of(digits).base == 16;
  if (hexadecimal && digits.find_first_of("pP") == npos) return {};
  if (hexadecimal) digits.remove_prefix(2);
  const auto value =
      parsed<double>(digits, hexadecimal ? std::chars_format::hex : std::chars_format::general);
  if (!value) return {};
  return Value(negative ? -*value : *value);
}

std::optional<Value> integer_of(std::string_view digits, bool negative) {
  const Base base = base_of(digits);
  const auto value = parsed<uint64_t>(digits.substr(base.prefix), base.base);
  constexpr uint64_t limit = uint64_t{1} << 63;
  if (!value || *value > limit || (*value == limit && !negative)) return {};
  return Value(static_cast<int64_t>(negative ? 0 - *value : *value));
}

// One escape sequence at `at` (behind the backslash), appended to `out`.
bool unescape(std::string_view text, size_t& at, char quote, std::string& out) {
  const char c = text[at++];
  constexpr std::string_view names = "abfnrtv\\";
  constexpr std::string_view bytes = "\a\b\f\n\r\t\v\\";
  if (const size_t known = names.find(c); known != npos) return out += bytes[known], true;
  if (c == quote) return out += c, true;
  const bool octal = c >= '0' && c <= '7';
  const size_t length = octal ? 3 : c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
  if (octal) --at;
  const auto value = parsed<uint32_t>(text.substr(at, length), octal ? 8 : 16);
  if (length == 0 || text.size() - at < length || !value) return false;
  at += length;
  if (octal || c == 'x') {
    if (*value > 0xFF) return false;
    return out += static_cast<char>(*value), true;
  }
  if (*value > 0x10FFFF || (*value >= 0xD800 && *value < 0xE000)) return false;
  tmpl::encode(*value, out);
  return true;
}

std::optional<std::string> unquoted_with(std::string_view inner, char quote) {
  std::string out;
  for (size_t at = 0; at < inner.size();) {
    if (inner[at] != '\\') {
      out += inner[at++];
      continue;
    }
    if (++at == inner.size() || !unescape(inner, at, quote, out)) return {};
  }
  return out;
}

std::optional<Value> character_of(std::string_view literal) {
  if (literal.size() < 3 || literal.back() != '\'') return {};
  const std::string_view inner = literal.substr(1, literal.size() - 2);
  const auto bytes = unquoted_with(inner, '\'');
  if (!bytes || bytes->empty()) return {};
  // '\xFF' is the number 255, not a broken character.
  if (bytes->size() == 1) return Value(static_cast<int64_t>(static_cast<unsigned char>(bytes->front())));
  size_t at = 0;
  const char32_t point = tmpl::decode(*bytes, at);
  if (at != bytes->size() || point == tmpl::invalid_byte) return {};
  return Value(static_cast<int64_t>(point));
}

}  // namespace

std::optional<Value> number_of(std::string_view literal) {
  if (!literal.empty() && literal.front() == '\'') return character_of(literal);
  const bool negative = !literal.empty() && literal.front() == '-';
  if (negative || (!literal.empty() && literal.front() == '+')) literal.remove_prefix(1);
  const auto digits = without_underscores(literal);
  // from_chars would take a second sign, "inf" and "nan".
  if (!digits || digits->empty() ||
      !(digits->front() == '.' || (digits->front() >= '0' && digits->front() <= '9')))
    return {};
  const bool hexadecimal = base_of(*digits).base == 16;
  const bool floating = digits->find_first_of(hexadecimal ? ".pP" : ".eE") != npos;
  return floating ? float_of(*digits, negative) : integer_of(*digits, negative);
}

std::optional<std::string> unquoted(std::string_view literal) {
  if (literal.size() < 2) return {};
  const std::string_view inner = literal.substr(1, literal.size() - 2);
  if (literal.front() == '`') {
    std::string raw;  // carriage returns do not belong to a raw string
    for (const char c : inner) {
      if (c != '\r') raw += c;
    }
    return raw;
  }
  return unquoted_with(inner, '"');
}

}  // namespace hearth::gotmpl
