#include "hardware/sysfs_text.h"

#include <algorithm>
#include <charconv>

namespace hearth {

std::string_view trimmed(std::string_view text) noexcept {
  constexpr std::string_view blank(" \t\r\n\0", 5);
  const size_t first = text.find_first_not_of(blank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

std::optional<uint64_t> parse_number(std::string_view text, int base) noexcept {
  text = trimmed(text);
  if (base == 16 && (text.starts_with("0x") || text.starts_with("0X"))) text.remove_prefix(2);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

uint64_t number_or(std::string_view text, uint64_t otherwise, int base) noexcept {
  return parse_number(text, base).value_or(otherwise);
}

std::optional<std::string> value_of(std::string_view text, std::string_view key) {
  for (const std::string_view line : lines_in(text)) {
    const std::string_view at = trimmed(line);
    if (!at.starts_with(key) || at.size() == key.size()) continue;
    std::string_view rest = at.substr(key.size());
    if (std::string_view(" \t:=").find(rest.front()) == std::string_view::npos) continue;
    rest = trimmed(rest);
    if (!rest.empty() && (rest.front() == ':' || rest.front() == '=')) rest = trimmed(rest.substr(1));
    return std::string(rest);
  }
  return std::nullopt;
}

uint64_t value_number(std::string_view text, std::string_view key, uint64_t otherwise) {
  const auto value = value_of(text, key);
  if (!value) return otherwise;
  return number_or(std::string_view(*value).substr(0, value->find(' ')), otherwise);
}

std::vector<std::string_view> lines_in(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    out.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::vector<std::string> words_in(std::string_view text, std::string_view separators) {
  std::vector<std::string> out;
  for (size_t i = 0; i < text.size();) {
    i = std::min(text.find_first_not_of(separators, i), text.size());
    const size_t end = std::min(text.find_first_of(separators, i), text.size());
    if (end > i) out.emplace_back(text.substr(i, end - i));
    i = end;
  }
  return out;
}

uint32_t count_list(std::string_view text, uint32_t most) noexcept {
  uint64_t count = 0;
  text = trimmed(text);
  while (!text.empty() && count < most) {
    const size_t end = std::min(text.find(','), text.size());
    const std::string_view range = text.substr(0, end);
    const size_t dash = range.find('-');
    const auto first = parse_number(range.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : parse_number(range.substr(dash + 1));
    if (first && last && *last >= *first) count += std::min<uint64_t>(*last - *first, most) + 1;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return static_cast<uint32_t>(std::min<uint64_t>(count, most));
}

}  // namespace hearth
