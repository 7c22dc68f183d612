#include "cli/jsonl.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace hearth {
namespace {

// JSON may hold these characters as they are, but many readers take them for line ends: they stand only
// within strings, so an escape means the same.
void escape_line_ends(std::string& line) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 3> marks{
      {{"\xC2\x85", "\\u0085"}, {"\xE2\x80\xA8", "\\u2028"}, {"\xE2\x80\xA9", "\\u2029"}}};
  for (const auto& [mark, escape] : marks) {
    for (size_t at = line.find(mark); at != std::string::npos; at = line.find(mark, at + escape.size())) {
      line.replace(at, mark.size(), escape);
    }
  }
}

}  // namespace

void answer_lines(const std::function<void(const Json&, std::string&)>& answer) {
  std::ios::sync_with_stdio(false);
  std::string line, out;
  while (std::getline(std::cin, line)) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    out.clear();
    try {
      json::parse_options options;
      options.max_depth = 256;
      answer(json::parse(line, {}, options), out);
    } catch (const Error& e) {
      out = json::serialize(json::object{{"error", e.message}});
    } catch (const std::exception& e) {
      out = json::serialize(
          json::object{{"error", fmt::format("the line is not what is expected: {}", e.what())}});
    }
    escape_line_ends(out);
    out.push_back('\n');
    std::cout << out << std::flush;
  }
}

void append_floats(std::string& out, const float* values, size_t count) {
  out.push_back('[');
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) out.push_back(',');
    if (std::isfinite(values[i])) {
      out += fmt::format("{}", values[i]);
    } else {
      out += fmt::format("\"{}\"", std::isnan(values[i]) ? "nan" : values[i] > 0 ? "inf" : "-inf");
    }
  }
  out.push_back(']');
}

}  // namespace hearth
