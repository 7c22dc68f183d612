#include "http/host.h"

#include <fmt/format.h>

#include <charconv>

namespace hearth {
namespace {

std::string_view unquoted(std::string_view text) {
  const auto trim = [&] {
    const size_t first = text.find_first_not_of(" \t\r\n");
    text = first == std::string_view::npos ? std::string_view()
                                           : text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
  };
  trim();
  if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front()) {
    text = text.substr(1, text.size() - 2);
    trim();
  }
  return text;
}

}  // namespace

HostAddress HostAddress::parse(std::string_view text) {
  HostAddress a;
  text = unquoted(text);
  if (text.empty()) return a;
  if (text.starts_with("unix:")) {
    a.scheme = "unix";
    a.host.clear();
    text.remove_prefix(5);
    while (text.starts_with("//")) text.remove_prefix(1);
    a.path = text;
    return a;
  }
  if (const size_t colon = text.find("://"); colon != std::string_view::npos) {
    a.scheme = text.substr(0, colon);
    text.remove_prefix(colon + 3);
    a.port = a.scheme == "https" ? 443 : 80;
  }
  const uint16_t otherwise = a.port;
  if (const size_t slash = text.find('/'); slash != std::string_view::npos) {
    a.path = text.substr(slash);
    while (a.path.ends_with('/')) a.path.pop_back();
    text = text.substr(0, slash);
  }
  std::string_view port;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    a.host = text.substr(1, end == std::string_view::npos ? end : end - 1);
    if (end != std::string_view::npos && text.substr(end + 1).starts_with(':')) port = text.substr(end + 2);
  } else if (const size_t colon = text.find(':');
             colon != std::string_view::npos && text.find(':', colon + 1) == std::string_view::npos) {
    a.host = text.substr(0, colon);
    port = text.substr(colon + 1);
  } else {
    a.host = text;  // no port, or IPv6 without brackets
  }
  if (port.empty()) return a;
  uint16_t number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error == std::errc() && end == port.data() + port.size()) {
    a.port = number;
  } else {
    a.port = otherwise == 80 || otherwise == 443 ? otherwise : uint16_t{11434};
    a.warning = fmt::format("'{}' is no port; {} is used", port, a.port);
  }
  return a;
}

std::string HostAddress::dial() const {
  const bool everywhere = host.empty() || host == "0.0.0.0" || host == "::";
  const std::string name = everywhere ? "127.0.0.1" : host;
  return fmt::format("{}://{}:{}{}", scheme, name.find(':') == std::string::npos ? name : "[" + name + "]",
                     port, path);
}

}  // namespace hearth
