#pragma once

#include <string>
#include <string_view>

namespace hearth {

// Where a server listens or a client dials, as OLLAMA_HOST says it: [scheme://]host[:port][/path].
struct HostAddress {
  std::string scheme = "http";
  std::string host = "127.0.0.1";  // empty: all interfaces; without the brackets of IPv6
  uint16_t port = 11434;
  std::string path;     // "/prefix" of a reverse proxy, or the socket's path where scheme is "unix"
  std::string warning;  // what of the text could not be used; empty if all could

  // Quotes and blanks around the text are removed. A bad port is replaced by 11434 with a warning.
  static HostAddress parse(std::string_view text);

  // "http://[::1]:11434/prefix"; an address that means all interfaces is dialled at loopback.
  std::string dial() const;
};

}  // namespace hearth
