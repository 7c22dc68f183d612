#include "cli/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>

namespace hearth {
namespace {

using Clock = std::chrono::system_clock;

std::string counted(int64_t n, const char* unit) { return fmt::format("{} {}s", n, unit); }

std::string distance(std::chrono::seconds span) {
  const int64_t s = span.count();
  constexpr int64_t minute = 60, hour = 3600, day = 86400, week = 7 * day;
  if (s < 1) return "Less than a second";
  if (s == 1) return "1 second";
  if (s < minute) return counted(s, "second");
  if (s < 2 * minute) return "About a minute";
  if (s < hour) return counted(s / minute, "minute");
  const int64_t hours = (s + hour / 2) / hour;
  if (hours == 1) return "About an hour";
  if (hours < 48) return counted(hours, "hour");
  if (s < 2 * week) return counted(s / day, "day");
  if (s < 60 * day) return counted(s / week, "week");
  if (s < 730 * day) return counted(s / (30 * day), "month");
  return counted(s / (365 * day), "year");
}

}  // namespace

std::string Table::text() const {
  std::vector<size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  std::string out;
  for (const auto& row : rows_) {
    for (size_t c = 0; c < row.size(); ++c) {
      out += c + 1 == row.size() ? row[c] + "\n" : fmt::format("{:<{}}    ", row[c], widths[c]);
    }
  }
  return out;
}

std::string human_age(Clock::time_point when, Clock::time_point now) {
  if (when == Clock::time_point()) return "Never";
  const auto span = std::chrono::duration_cast<std::chrono::seconds>(when - now);
  if (span > std::chrono::hours(24) * 365 * 20) return "Forever";
  return span.count() > 0 ? distance(span) + " from now" : distance(-span) + " ago";
}

Clock::time_point parse_time(std::string_view text) {
  std::tm t{};
  const std::string copy(text);
  const char* rest = ::strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &t);
  if (rest == nullptr || t.tm_year <= -1800) return {};
  if (*rest == '.') {
    ++rest;
    while (*rest >= '0' && *rest <= '9') ++rest;
  }
  int64_t offset = 0;
  if (*rest == '+' || *rest == '-') {
    int hours = 0, minutes = 0;
    if (std::sscanf(rest + 1, "%2d:%2d", &hours, &minutes) >= 1)
      offset = (*rest == '-' ? -1 : 1) * (int64_t{hours} * 3600 + int64_t{minutes} * 60);
  }
  // A time that does not fit the clock is far ahead: for ever.
  constexpr int64_t most = 9'000'000'000;
  return Clock::time_point(std::chrono::seconds(std::min<int64_t>(::timegm(&t) - offset, most)));
}

}  // namespace hearth
