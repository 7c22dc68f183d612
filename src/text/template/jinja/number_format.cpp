#include "text/template/jinja/number_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace hearth::tmpl::jinja {
namespace {

constexpr int64_t most_precision = 1000;

std::string digits_in_base(BigInt value, unsigned shift) {
  if (value == 0) return "0";
  std::string out;
  const unsigned mask = (1U << shift) - 1;
  while (value != 0) {
    out += "0123456789abcdef"[(value & mask).convert_to<unsigned>()];
    value >>= shift;
  }
  std::reverse(out.begin(), out.end());
  return out;
}

std::string sign_of(bool negative, char sign) {
  if (negative) return "-";
  return sign == '-' ? "" : std::string(1, sign);
}

// Separators between groups of the digits before the point.
void group(std::string& number, char separator, size_t size) {
  const size_t end = std::min(number.find_first_of(".e%"), number.size());
  for (size_t at = end; at > size; at -= size) number.insert(at - size, 1, separator);
}

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

}  // namespace

std::string format_integer(const BigInt& value, const FormatSpec& spec) {
  std::string digits;
  const BigInt magnitude = abs(value);
  const char* prefix = "";
  switch (spec.type) {
    case 'x':
    case 'X':
      digits = digits_in_base(magnitude, 4);
      prefix = "0x";
      break;
    case 'o':
      digits = digits_in_base(magnitude, 3);
      prefix = "0o";
      break;
    case 'b':
      digits = digits_in_base(magnitude, 1);
      prefix = "0b";
      break;
    default: digits = magnitude.str();
  }
  if (spec.precision > most_precision) fail_type("a precision is too large");
  if (spec.precision > static_cast<int64_t>(digits.size())) {
    digits.insert(0, static_cast<size_t>(spec.precision) - digits.size(), '0');
  }
  if (spec.grouping) group(digits, spec.grouping, *prefix ? 4 : 3);
  if (spec.alternate) digits.insert(0, prefix);
  if (spec.type == 'X') digits = upper(digits);
  return sign_of(value < 0, spec.sign) + digits;
}

std::string format_double(double value, const FormatSpec& spec) {
  if (spec.precision > most_precision) fail_type("a precision is too large");
  const int precision = static_cast<int>(spec.precision < 0 ? 6 : spec.precision);
  const double magnitude = std::abs(value);
  std::string digits;
  switch (spec.type) {
    case 0:
      digits = spec.precision < 0 ? float_text(magnitude) : fmt::format("{:.{}g}", magnitude, precision);
      break;
    case 'e':
    case 'E':
      digits = spec.alternate ? fmt::format("{:#.{}e}", magnitude, precision)
                              : fmt::format("{:.{}e}", magnitude, precision);
      break;
    case 'g':
    case 'G':
      digits = spec.alternate ? fmt::format("{:#.{}g}", magnitude, std::max(precision, 1))
                              : fmt::format("{:.{}g}", magnitude, std::max(precision, 1));
      break;
    case '%': digits = fmt::format("{:.{}f}%", magnitude * 100, precision); break;
    default:
      digits = spec.alternate ? fmt::format("{:#.{}f}", magnitude, precision)
                              : fmt::format("{:.{}f}", magnitude, precision);
  }
  if (spec.grouping && std::isfinite(value)) group(digits, spec.grouping, 3);
  if (spec.type == 'E' || spec.type == 'G' || spec.type == 'F') digits = upper(digits);
  return sign_of(std::signbit(value) && !std::isnan(value), spec.sign) + digits;
}

void append_padded(Evaluator& evaluator, const Marked& body, const FormatSpec& spec, char default_align,
                   Marked& out) {
  const size_t length = count_characters(body.bytes());
  const size_t width = spec.width > 0 ? static_cast<size_t>(spec.width) : 0;
  const size_t missing = width > length ? width - length : 0;
  evaluator.meter().expect(missing);
  std::string fill;
  encode(spec.fill, fill);
  evaluator.meter().expect(out.size() + body.size() + missing * fill.size());
  evaluator.meter().step(missing);
  const char align = spec.align ? spec.align : default_align;
  const size_t front = align == '<' ? 0 : align == '^' ? missing / 2 : missing;
  const auto put = [&](size_t count) {
    for (size_t i = 0; i < count; ++i) out.append(fill, Origin::model);
  };
  size_t sign = 0;
  if (align == '=' && !body.empty() &&
      std::string_view("+- ").find(body.bytes()[0]) != std::string_view::npos)
    sign = 1;
  out.append(body, 0, sign);
  put(front);
  out.append(body, sign, body.size());
  put(missing - front);
}

}  // namespace hearth::tmpl::jinja
