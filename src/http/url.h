#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace hearth {

// An absolute http or https address, taken apart only as far as the rules about hosts need it.
struct Url {
  std::string scheme, host, port;  // lower-case; the port is there even if the text leaves it out
  std::string path;                // without the query, still escaped
  std::string text;

  static std::optional<Url> parse(std::string_view text);
  // What a Location header at this address means; none if that is no http or https address.
  std::optional<Url> resolve(std::string_view location) const;

  bool same_host(const Url& other) const { return host == other.host && port == other.port; }
  bool loopback() const;
};

// `text` with everything but letters, digits and "-._~" written as %XX.
std::string escape_query(std::string_view text);

}  // namespace hearth
