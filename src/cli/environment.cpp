#include "cli/environment.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

#include "base/duration.h"
#include "base/threads.h"

namespace hearth {
namespace {

std::string cleaned(std::string text) {
  const auto trim = [&] {
    const size_t first = text.find_first_not_of(" \t\r\n");
    if (first == std::string::npos) return text.clear();
    text = text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
  };
  trim();
  if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front()) {
    text = text.substr(1, text.size() - 2);
    trim();
  }
  return text;
}

void warn(const std::string& name, const std::string& value, const std::string& wanted) {
  fmt::print(stderr, "Warning: {} has the value '{}', which is not {}; the default is used\n", name, value,
             wanted);
}

}  // namespace

std::string setting(const std::string& name) {
  for (const char* prefix : {"HEARTH_", "OLLAMA_"}) {
    const char* value = std::getenv((prefix + name).c_str());
    if (value != nullptr && !cleaned(value).empty()) return cleaned(value);
  }
  return {};
}

bool bool_setting(const std::string& name, bool otherwise) {
  const std::string value = setting(name);
  if (value.empty()) return otherwise;
  std::string word = value;
  std::transform(word.begin(), word.end(), word.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  constexpr std::array yes{"1", "t", "true", "yes", "on"}, no{"0", "f", "false", "no", "off"};
  if (std::find(yes.begin(), yes.end(), word) != yes.end()) return true;
  if (std::find(no.begin(), no.end(), word) != no.end()) return false;
  warn("OLLAMA_" + name, value, "a yes or no");
  return otherwise;
}

uint64_t uint_setting(const std::string& name, uint64_t otherwise) {
  const std::string value = setting(name);
  if (value.empty()) return otherwise;
  const bool digits =
      std::all_of(value.begin(), value.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  if (digits && value.size() < 19) return std::strtoull(value.c_str(), nullptr, 10);
  warn("OLLAMA_" + name, value, "a number");
  return otherwise;
}

std::chrono::nanoseconds duration_setting(const std::string& name, std::chrono::nanoseconds otherwise) {
  const std::string value = setting(name);
  if (value.empty()) return otherwise;
  int64_t seconds = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (error == std::errc() && end == value.data() + value.size()) {
    constexpr int64_t most = 9'000'000'000;
    return std::chrono::seconds(std::clamp(seconds, -most, most));
  }
  if (const auto parsed = parse_duration(value)) return *parsed;
  warn("OLLAMA_" + name, value, "a duration such as 5m");
  return otherwise;
}

std::filesystem::path home_folder() {
  const char* value = std::getenv("HOME");
  return value != nullptr && *value != '\0' ? value : "/";
}

std::filesystem::path cache_folder() {
  const char* value = std::getenv("XDG_CACHE_HOME");
  return (value != nullptr && *value == '/' ? std::filesystem::path(value) : home_folder() / ".cache") /
         "hearth";
}

std::vector<std::string> device_setting(const std::string& option) {
  return device_names(option.empty() ? setting("DEVICES") : option);
}

std::vector<std::string> device_names(const std::string& list) {
  std::vector<std::string> names;
  for (size_t at = 0; at < list.size();) {
    const size_t end = std::min(list.find_first_of(", ", at), list.size());
    if (end > at) names.push_back(list.substr(at, end - at));
    at = end + 1;
  }
  return names;
}

uint32_t thread_setting() {
  const auto threads = static_cast<uint32_t>(std::min<uint64_t>(uint_setting("THREADS", 0), 1024));
  if (threads == 0) return 0;
  const ThreadBudget budget = thread_budget();
  if (threads > budget.threads) {
    fmt::print(stderr, "Warning: HEARTH_THREADS is {}, more than the {} of {}: it will be slower\n", threads,
               budget.threads, budget.reason);
  }
  return threads;
}

}  // namespace hearth
