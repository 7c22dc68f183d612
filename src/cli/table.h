#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace hearth {

// Rows under a header, left aligned, four blanks between the columns: as scripts expect `list` and `ps`.
class Table {
 public:
  explicit Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// "3 minutes ago", "About an hour from now", "Forever" beyond 20 years, "Never" for no time.
std::string human_age(std::chrono::system_clock::time_point when, std::chrono::system_clock::time_point now);

// RFC 3339 with any offset and up to nine digits of fraction; the epoch where the text is no time.
std::chrono::system_clock::time_point parse_time(std::string_view text);

}  // namespace hearth
