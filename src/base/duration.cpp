#include "base/duration.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace hearth {
namespace {

struct Unit {
  std::string_view name;
  double seconds;
};
constexpr std::array units{Unit{"ns", 1e-9}, Unit{"us", 1e-6}, Unit{"µs", 1e-6}, Unit{"ms", 1e-3},
                           Unit{"s", 1},     Unit{"m", 60},    Unit{"h", 3600}};

std::chrono::nanoseconds seconds(double s) {
  constexpr double most = 9.2e9;  // what nanoseconds in 64 bits can hold
  return std::chrono::nanoseconds(static_cast<int64_t>(std::clamp(s, -most, most) * 1e9));
}

}  // namespace

std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text == "0") return std::chrono::nanoseconds(0);
  if (text.empty()) return std::nullopt;
  double sum = 0;
  while (!text.empty()) {
    double value = 0;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
    if (error != std::errc() || value < 0) return std::nullopt;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    const size_t length = std::min(text.find_first_of("0123456789."), text.size());
    const std::string_view name = text.substr(0, length);
    const auto unit = std::find_if(units.begin(), units.end(), [&](const Unit& u) { return u.name == name; });
    if (unit == units.end()) return std::nullopt;
    sum += value * unit->seconds;
    text.remove_prefix(length);
  }
  return seconds(negative ? -sum : sum);
}

}  // namespace hearth
