#include "cli/human.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

namespace hearth {
namespace {

// Digits after the point without trailing zeros.
std::string trimmed(double value, int digits) {
  std::string text = fmt::format("{:.{}f}", value, digits);
  if (text.find('.') == std::string::npos) return text;
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

}  // namespace

std::string human_bytes(uint64_t bytes) {
  constexpr std::array units{"B", "KB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1000 && unit + 1 < units.size()) {
    value /= 1000;
    ++unit;
  }
  if (value >= 10 || unit == 0) return fmt::format("{} {}", static_cast<uint64_t>(value), units[unit]);
  const double tenths = std::floor(value * 10) / 10;
  return fmt::format("{} {}", trimmed(tenths, 1), units[unit]);
}

std::string human_count(uint64_t count) {
  const auto value = static_cast<double>(count);
  if (count >= 1'000'000'000) return trimmed(value / 1e9, 1) + "B";
  if (count >= 1'000'000) {
    const double millions = value / 1e6;
    return millions == std::floor(millions) ? fmt::format("{:.0f}M", millions)
                                            : fmt::format("{:.2f}M", millions);
  }
  if (count >= 1000) return fmt::format("{:.0f}K", value / 1e3);
  return std::to_string(count);
}

std::string human_duration(double seconds) {
  if (seconds <= 0) return "0s";
  if (seconds < 1e-3) return trimmed(seconds * 1e6, 3) + "µs";
  if (seconds < 1) return trimmed(seconds * 1e3, 6) + "ms";
  if (seconds < 60) return trimmed(seconds, 9) + "s";
  const auto minutes = static_cast<uint64_t>(seconds / 60);
  const std::string rest = trimmed(seconds - 60.0 * static_cast<double>(minutes), 9) + "s";
  if (minutes < 60) return fmt::format("{}m{}", minutes, rest);
  return fmt::format("{}h{}m{}", minutes / 60, minutes % 60, rest);
}

}  // namespace hearth
