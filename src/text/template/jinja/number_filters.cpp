#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <string>

#include "text/template/jinja/filters.h"
#include "text/template/jinja/given.h"
#include "text/template/jinja/number.h"
#include "text/template/jinja/text_ops.h"

// int, float, round, abs.
namespace hearth::tmpl::jinja {
namespace {

constexpr size_t most_digits = 4300;

// Without blanks around it and underscores between digits.
std::string cleaned(std::string_view text) {
  while (!text.empty() && is_space(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && is_space(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool between =
        text[i] == '_' && i > 0 && i + 1 < text.size() && text[i - 1] != '_' && text[i + 1] != '_';
    if (!between) out += text[i];
  }
  return out;
}

std::optional<BigInt> parse_integer(std::string_view text, int base) {
  std::string digits = cleaned(text);
  const bool negative = !digits.empty() && digits[0] == '-';
  if (!digits.empty() && (digits[0] == '-' || digits[0] == '+')) digits.erase(0, 1);
  if (digits.size() > 2 && digits[0] == '0') {
    const char prefix = static_cast<char>(digits[1] | 0x20);
    const int named = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 0;
    if (named == base || (base == 0 && named)) {
      digits.erase(0, 2);
      base = named;
    }
  }
  if (base == 0) base = 10;
  if (digits.empty() || digits.size() > most_digits) return std::nullopt;
  BigInt value = 0;
  for (const char c : digits) {
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'z' ? c - 'a' + 10
                      : c >= 'A' && c <= 'Z' ? c - 'A' + 10
                                             : 99;
    if (digit >= base) return std::nullopt;
    value = value * base + digit;
  }
  return negative ? BigInt(-value) : value;
}

std::optional<double> parse_double(std::string_view text) {
  std::string digits = cleaned(text);
  if (!digits.empty() && digits[0] == '+') digits.erase(0, 1);
  double value = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || parsed.ptr != digits.data() + digits.size()) return std::nullopt;
  if (parsed.ec != std::errc()) return std::nullopt;
  return value;
}

std::optional<BigInt> whole_part(double value) {
  if (!std::isfinite(value)) return std::nullopt;
  return BigInt(std::trunc(value));
}

Value to_int(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("int", args, {"default", "base"});
  Value fallback = given.value(0, int64_t{0});
  require_defined(self);
  if (is_integral(self)) return integer(evaluator, big(self));
  std::optional<BigInt> value;
  if (self.is_double()) value = whole_part(self.floating());
  if (self.is_text()) {
    const int64_t base = given.integer(1, 10);
    if (base != 0 && (base < 2 || base > 36)) return fallback;
    evaluator.meter().step(self.text().size());
    value = parse_integer(self.view(), static_cast<int>(base));
    if (!value) {
      const auto number = parse_double(self.view());
      if (number) value = whole_part(*number);
    }
  }
  return value ? integer(evaluator, *value) : fallback;
}

Value to_float(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("float", args, {"default"});
  require_defined(self);
  if (is_number(self)) return as_double(self);
  if (self.is_text()) {
    evaluator.meter().step(self.text().size());
    if (const auto number = parse_double(self.view())) return *number;
  }
  return given.value(0, 0.0);
}

Value absolute(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("abs", args, {});
  require_defined(self);
  if (!is_number(self)) fail_type(fmt::format("bad operand type for abs(): '{}'", type_name(self)));
  if (self.is_double()) return std::abs(self.floating());
  return integer(evaluator, abs(big(self)));
}

// To the nearest decimal, ties to even, through the exact decimal text as Python does it.
double rounded(double value, int64_t precision) {
  if (!std::isfinite(value) || precision > 300) return value;
  if (precision >= 0) return std::stod(fmt::format("{:.{}f}", value, precision));
  if (precision < -308) return 0;
  const double unit = std::pow(10.0, static_cast<double>(-precision));
  return std::nearbyint(value / unit) * unit;
}

// To a power of ten, ties to even.
Value rounded_integer(Evaluator& evaluator, const BigInt& value, int64_t precision) {
  if (precision < -4000) return int64_t{0};
  const BigInt unit = boost::multiprecision::pow(BigInt(10), static_cast<unsigned>(-precision));
  const BigInt magnitude = abs(value);
  BigInt times = magnitude / unit;
  const BigInt twice = (magnitude - times * unit) * 2;
  if (twice > unit || (twice == unit && times % 2 != 0)) ++times;
  return integer(evaluator, value < 0 ? BigInt(-times * unit) : BigInt(times * unit));
}

Value round(Evaluator& evaluator, const Value& self, Args& args) {
  const Given given("round", args, {"precision", "method"});
  require_defined(self);
  if (!is_number(self)) fail_type(fmt::format("round() needs a number, not {}", type_name(self)));
  const int64_t precision = given.integer(0, 0);
  const std::string method = given.has(1) ? std::string(given.text(1).view()) : "common";
  if (method == "common") {
    if (!is_integral(self)) return rounded(self.floating(), precision);
    return precision >= 0 ? integer(evaluator, big(self)) : rounded_integer(evaluator, big(self), precision);
  }
  if (method != "ceil" && method != "floor") fail_type("round(): the method must be common, ceil or floor");
  if (precision < -300 || precision > 300) fail_type("round(): the precision is out of range");
  const double unit = std::pow(10.0, static_cast<double>(precision));
  const double scaled = as_double(self) * unit;
  return (method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / unit;
}

}  // namespace

Native number_filter(std::string_view name) {
  if (name == "int") return to_int;
  if (name == "float") return to_float;
  if (name == "abs") return absolute;
  return name == "round" ? round : nullptr;
}

}  // namespace hearth::tmpl::jinja
