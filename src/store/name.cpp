#include "store/name.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace hearth {
namespace {

enum class PartKind { host, space, model, tag };

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool valid_part(PartKind kind, std::string_view part) {
  const size_t longest = kind == PartKind::host ? 350 : 80;
  if (part.empty() || part.size() > longest) return false;
  if (!is_alphanumeric(part.front()) && part.front() != '_') return false;
  return std::all_of(part.begin(), part.end(), [kind](char c) {
    if (is_alphanumeric(c) || c == '_' || c == '-') return true;
    if (c == '.') return kind != PartKind::space;
    return c == ':' && kind == PartKind::host;
  });
}

bool valid(const ModelName& name) {
  return valid_part(PartKind::host, name.host) && valid_part(PartKind::space, name.space) &&
         valid_part(PartKind::model, name.model) && valid_part(PartKind::tag, name.tag);
}

// Takes what follows the last `/` off the end of `text`; false when there is no `/` left.
bool cut_last(std::string_view& text, std::string& last) {
  const size_t slash = text.rfind('/');
  if (slash == std::string_view::npos) return false;
  last = text.substr(slash + 1);
  text = text.substr(0, slash);
  return true;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

std::optional<ModelName> ModelName::parse(std::string_view text) {
  ModelName name;
  if (const size_t mark = text.find("://"); mark != std::string_view::npos) {
    const std::string_view scheme = text.substr(0, mark);
    if (equal_ignoring_case(scheme, "http"))
      name.scheme = "http";
    else if (!equal_ignoring_case(scheme, "https"))
      return std::nullopt;
    text.remove_prefix(mark + 3);
  }
  // A colon before the last slash belongs to the host: localhost:5000/ns/m.
  const size_t colon = text.rfind(':');
  const size_t slash = text.rfind('/');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    name.tag = text.substr(colon + 1);
    text = text.substr(0, colon);
  }
  if (!cut_last(text, name.model)) {
    name.model = text;
  } else if (!cut_last(text, name.space)) {
    name.space = text;
  } else {
    name.host = text;  // a further slash is no valid character of a host
  }
  if (!valid(name)) return std::nullopt;
  return name;
}

ModelName ModelName::parse_or_throw(std::string_view text) {
  if (auto name = parse(text)) return *std::move(name);
  // Names come from anywhere: what is shown is cut and kept to one line.
  std::string shown(text.substr(0, 100));
  std::replace_if(
      shown.begin(), shown.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; },
      '?');
  throw Error(Code::bad_request, fmt::format("invalid model name \"{}\"", shown),
              "write [host/][namespace/]model[:tag] with letters, digits, '_', '-' and '.'");
}

std::optional<ModelName> ModelName::from_path(const std::filesystem::path& relative) {
  ModelName name;
  std::string* const parts[] = {&name.host, &name.space, &name.model, &name.tag};
  size_t count = 0;
  for (const auto& part : relative) {
    if (count == 4) return std::nullopt;
    *parts[count++] = part.string();
  }
  if (count != 4 || !valid(name)) return std::nullopt;
  return name;
}

std::string ModelName::short_display() const {
  if (!equal_ignoring_case(host, default_host)) return full_display();
  if (!equal_ignoring_case(space, default_space)) return fmt::format("{}/{}:{}", space, model, tag);
  return fmt::format("{}:{}", model, tag);
}

std::string ModelName::full_display() const { return fmt::format("{}/{}/{}:{}", host, space, model, tag); }

std::filesystem::path ModelName::path() const { return std::filesystem::path(host) / space / model / tag; }

bool ModelName::matches(const ModelName& other) const noexcept {
  return equal_ignoring_case(host, other.host) && equal_ignoring_case(space, other.space) &&
         equal_ignoring_case(model, other.model) && equal_ignoring_case(tag, other.tag);
}

}  // namespace hearth
