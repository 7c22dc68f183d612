#include "text/template/unicode.h"

#include <utf8proc.h>

#include <algorithm>

#include "text/template/case_table.h"

namespace hearth::tmpl {
namespace {

bool known(char32_t point) { return point <= 0x10FFFF; }

utf8proc_int32_t signed_point(char32_t point) { return static_cast<utf8proc_int32_t>(point); }

utf8proc_category_t category(char32_t point) {
  return known(point) ? utf8proc_category(signed_point(point)) : UTF8PROC_CATEGORY_CN;
}

const LongCase* long_case(char32_t point) {
  if (point < long_cases.front().point) return nullptr;
  const auto* found = std::lower_bound(long_cases.begin(), long_cases.end(), point,
                                       [](const LongCase& row, char32_t key) { return row.point < key; });
  return found != long_cases.end() && found->point == point ? found : nullptr;
}

}  // namespace

char32_t decode(std::string_view text, size_t& at) {
  const auto first = static_cast<unsigned char>(text[at]);
  if (first < 0x80) {
    ++at;
    return first;
  }
  utf8proc_int32_t point = -1;
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at;
  const auto room = static_cast<utf8proc_ssize_t>(std::min<size_t>(text.size() - at, 4));
  const utf8proc_ssize_t used = utf8proc_iterate(bytes, room, &point);
  if (used <= 0 || point < 0) {
    ++at;
    return invalid_byte;
  }
  at += static_cast<size_t>(used);
  return static_cast<char32_t>(point);
}

void encode(char32_t point, std::string& out) {
  if (!known(point) || (point >= 0xD800 && point < 0xE000)) point = 0xFFFD;
  utf8proc_uint8_t bytes[4];
  const utf8proc_ssize_t used = utf8proc_encode_char(signed_point(point), bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(used));
}

size_t count_characters(std::string_view text) {
  size_t count = 0;
  for (const char byte : text) count += continues(byte) ? 0 : 1;
  return count;
}

size_t offset_of(std::string_view text, size_t index) {
  for (size_t at = 0; at < text.size(); ++at) {
    if (continues(text[at])) continue;
    if (index-- == 0) return at;
  }
  return text.size();
}

bool is_space(char32_t point) {
  if (point < 0x80) return (point >= 0x09 && point <= 0x0D) || (point >= 0x1C && point <= 0x20);
  return point == 0x85 || point == 0xA0 || point == 0x1680 || (point >= 0x2000 && point <= 0x200A) ||
         point == 0x2028 || point == 0x2029 || point == 0x202F || point == 0x205F || point == 0x3000;
}

bool is_letter(char32_t point) {
  const auto kind = category(point);
  return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}

bool is_decimal(char32_t point) { return category(point) == UTF8PROC_CATEGORY_ND; }

// Superscripts count as digits in Python, other numbers (fractions, Roman) do not.
bool is_digit(char32_t point) {
  if (is_decimal(point)) return true;
  return point == 0xB2 || point == 0xB3 || point == 0xB9 || point == 0x2070 ||
         (point >= 0x2074 && point <= 0x2079) || (point >= 0x2080 && point <= 0x2089) ||
         (point >= 0x2460 && point <= 0x2468);
}

bool is_upper(char32_t point) { return known(point) && utf8proc_isupper(signed_point(point)) != 0; }
bool is_lower(char32_t point) { return known(point) && utf8proc_islower(signed_point(point)) != 0; }
bool is_title(char32_t point) { return category(point) == UTF8PROC_CATEGORY_LT; }
bool is_cased(char32_t point) { return is_upper(point) || is_lower(point) || is_title(point); }

bool is_case_ignorable(char32_t point) {
  switch (category(point)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK: return true;
    default:
      return point == '\'' || point == '.' || point == ':' || point == 0xB7 || point == 0x2018 ||
             point == 0x2019 || point == 0x2024 || point == 0x2027;
  }
}

void append_upper(char32_t point, std::string& out) {
  if (const LongCase* row = long_case(point)) {
    out += row->upper;
  } else {
    encode(static_cast<char32_t>(utf8proc_toupper(signed_point(point))), out);
  }
}

void append_lower(char32_t point, std::string& out) {
  if (point == 0x130) {
    out += "i\xCC\x87";
  } else {
    encode(static_cast<char32_t>(utf8proc_tolower(signed_point(point))), out);
  }
}

void append_title(char32_t point, std::string& out) {
  if (const LongCase* row = long_case(point)) {
    out += row->title;
  } else {
    encode(static_cast<char32_t>(utf8proc_totitle(signed_point(point))), out);
  }
}

}  // namespace hearth::tmpl
