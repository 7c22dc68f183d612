#include "text/template/jinja/strftime.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace hearth::tmpl::jinja {
namespace {

constexpr std::array<std::string_view, 7> days{"Sunday",   "Monday", "Tuesday", "Wednesday",
                                               "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> months{"January",   "February", "March",    "April",
                                                  "May",       "June",     "July",     "August",
                                                  "September", "October",  "November", "December"};

template <size_t n>
std::string_view name(const std::array<std::string_view, n>& names, int index) {
  return index >= 0 && static_cast<size_t>(index) < n ? names[static_cast<size_t>(index)] : "?";
}

int hour_of_twelve(int hour) { return hour % 12 == 0 ? 12 : hour % 12; }

// Weeks of the year that start on Sunday (first = 0) or Monday (first = 1).
int week(const std::tm& time, int first) { return (time.tm_yday + 7 - (time.tm_wday + 7 - first) % 7) / 7; }

std::string iso_date(const std::tm& time) {
  return fmt::format("{:04d}-{:02d}-{:02d}", time.tm_year + 1900, time.tm_mon + 1, time.tm_mday);
}

std::string directive(char letter, const std::tm& time) {
  const int year = time.tm_year + 1900;
  switch (letter) {
    case 'Y': return fmt::format("{}", year);
    case 'C': return fmt::format("{:02d}", year / 100);
    case 'y': return fmt::format("{:02d}", year % 100);
    case 'm': return fmt::format("{:02d}", time.tm_mon + 1);
    case 'd': return fmt::format("{:02d}", time.tm_mday);
    case 'e': return fmt::format("{:2d}", time.tm_mday);
    case 'H': return fmt::format("{:02d}", time.tm_hour);
    case 'k': return fmt::format("{:2d}", time.tm_hour);
    case 'I': return fmt::format("{:02d}", hour_of_twelve(time.tm_hour));
    case 'l': return fmt::format("{:2d}", hour_of_twelve(time.tm_hour));
    case 'M': return fmt::format("{:02d}", time.tm_min);
    case 'S': return fmt::format("{:02d}", time.tm_sec);
    case 'f': return "000000";
    case 'j': return fmt::format("{:03d}", time.tm_yday + 1);
    case 'u': return fmt::format("{}", time.tm_wday == 0 ? 7 : time.tm_wday);
    case 'w': return fmt::format("{}", time.tm_wday);
    case 'U': return fmt::format("{:02d}", week(time, 0));
    case 'W': return fmt::format("{:02d}", week(time, 1));
    case 'p': return time.tm_hour < 12 ? "AM" : "PM";
    case 'P': return time.tm_hour < 12 ? "am" : "pm";
    case 'A': return std::string(name(days, time.tm_wday));
    case 'a': return std::string(name(days, time.tm_wday).substr(0, 3));
    case 'B': return std::string(name(months, time.tm_mon));
    case 'b':
    case 'h': return std::string(name(months, time.tm_mon).substr(0, 3));
    case 'F': return iso_date(time);
    case 'D':
    case 'x': return fmt::format("{:02d}/{:02d}/{:02d}", time.tm_mon + 1, time.tm_mday, year % 100);
    case 'T':
    case 'X': return fmt::format("{:02d}:{:02d}:{:02d}", time.tm_hour, time.tm_min, time.tm_sec);
    case 'R': return fmt::format("{:02d}:{:02d}", time.tm_hour, time.tm_min);
    case 'r':
      return fmt::format("{:02d}:{:02d}:{:02d} {}", hour_of_twelve(time.tm_hour), time.tm_min, time.tm_sec,
                         time.tm_hour < 12 ? "AM" : "PM");
    case 'c':
      return fmt::format("{} {} {:2d} {:02d}:{:02d}:{:02d} {}", name(days, time.tm_wday).substr(0, 3),
                         name(months, time.tm_mon).substr(0, 3), time.tm_mday, time.tm_hour, time.tm_min,
                         time.tm_sec, year);
    case 'n': return "\n";
    case 't': return "\t";
    case '%': return "%";
    case 'z':
    case 'Z': return "";  // the time is naive
    default: return {'%', letter};
  }
}

// %-d: without the zeros or blanks in front.
std::string without_padding(const std::string& text) {
  const size_t first = std::min(text.find_first_not_of("0 "), text.empty() ? 0 : text.size() - 1);
  return text.substr(first);
}

}  // namespace

std::string strftime(std::string_view format, const std::tm& time) {
  std::string out;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out += format[i];
    } else if (format[i + 1] == '-' && i + 2 < format.size()) {
      out += without_padding(directive(format[i + 2], time));
      i += 2;
    } else {
      out += directive(format[++i], time);
    }
  }
  return out;
}

}  // namespace hearth::tmpl::jinja
