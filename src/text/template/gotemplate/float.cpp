// Floats as Go's strconv writes them.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "text/template/gotemplate/print.h"

namespace hearth::gotmpl {
namespace {

// Room for the longest fixed notation that is asked for: 309 digits, the point, and the precision.
constexpr int most_precision = 1'000;

std::string written(double value, std::chars_format format, int precision) {
  std::array<char, 400 + most_precision> buffer;
  const auto [end, error] =
      precision < 0 ? std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, format)
                    : std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, format, precision);
  return error == std::errc() ? std::string(buffer.data(), end) : std::string();
}

// The exponent of d.ddde+XX.
int exponent_of(const std::string& scientific) {
  int exponent = 0;
  const size_t at = scientific.find('e') + 1;
  const size_t skip = scientific[at] == '+' ? 1 : 0;
  std::from_chars(scientific.data() + at + skip, scientific.data() + scientific.size(), exponent);
  return exponent;
}

// Shortest digits, filled up with zeros to the point (to_chars would write the exact digits of the double).
std::string fixed_of(const std::string& scientific) {
  std::string digits;
  for (const char c : scientific.substr(0, scientific.find('e'))) {
    if (c != '.' && c != '-') digits += c;
  }
  const int point = exponent_of(scientific) + 1;
  std::string text = scientific.front() == '-' ? "-" : "";
  if (point <= 0) {
    text += "0.";
    return text.append(static_cast<size_t>(-point), '0') + digits;
  }
  const auto whole = static_cast<size_t>(point);
  if (digits.size() <= whole) return text + digits.append(whole - digits.size(), '0');
  return text.append(digits, 0, whole).append(".").append(digits, whole);
}

void drop_zeros(std::string& text) {
  const size_t exponent = std::min(text.find('e'), text.size());
  if (text.find('.') >= exponent) return;
  size_t keep = exponent;
  while (text[keep - 1] == '0') --keep;
  if (text[keep - 1] == '.') --keep;
  text.erase(keep, exponent - keep);
}

std::string general(double value, int precision) {
  if (precision < 0) {
    const std::string shortest = written(value, std::chars_format::scientific, -1);
    const int exponent = exponent_of(shortest);
    // Of the shortest digits, those of a million and more are scientific too.
    return exponent < -4 || exponent >= 6 ? shortest : fixed_of(shortest);
  }
  const int digits = precision == 0 ? 1 : precision;
  std::string text = written(value, std::chars_format::scientific, digits - 1);
  const int exponent = exponent_of(text);
  if (exponent >= -4 && exponent < digits)
    text = written(value, std::chars_format::fixed, digits - 1 - exponent);
  drop_zeros(text);
  return text;
}

}  // namespace

std::string float_text(double value, char verb, int precision) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  precision = std::min(precision, most_precision);
  std::string text;
  switch (verb | 0x20) {
    case 'e': text = written(value, std::chars_format::scientific, precision); break;
    case 'f':
      text = precision < 0 ? fixed_of(written(value, std::chars_format::scientific, -1))
                           : written(value, std::chars_format::fixed, precision);
      break;
    default: text = general(value, precision); break;
  }
  if (const size_t at = text.find('e'); verb >= 'A' && verb <= 'Z' && at != std::string::npos) text[at] = 'E';
  return text;
}

}  // namespace hearth::gotmpl
