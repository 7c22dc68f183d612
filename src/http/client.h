#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "http/url.h"

namespace hearth {

// The network or the server failed: trying again may help. Everything else (disk, cancellation) is a plain
// Error.
struct HttpFailure : Error {
  explicit HttpFailure(std::string what_failed)
      : Error(Code::io, std::move(what_failed), "check the network and try again; what has arrived is kept") {
  }
};
// No byte for the time that the request allows.
struct HttpStall : HttpFailure {
  using HttpFailure::HttpFailure;
};

struct HttpResponse {
  int status = 0;
  std::map<std::string, std::string, std::less<>> headers;  // names in lower case, of repeated ones the last
  std::string body;  // if there was no sink or the status is no success; at most body_limit bytes

  bool ok() const { return status >= 200 && status < 300; }
  bool redirect() const { return status >= 300 && status < 400 && headers.contains("location"); }
  std::string_view header(std::string_view name) const;
  std::optional<uint64_t> content_length() const;
};

struct HttpRequest {
  // Bytes to be sent: `read` fills a buffer from an offset and returns how many there were.
  struct Upload {
    uint64_t size = 0;
    std::function<size_t(char* into, size_t room, uint64_t offset)> read;
  };

  std::string method = "GET";
  Url url;
  std::vector<std::string> headers;  // "Name: value"
  std::string body{};
  std::optional<Upload> upload{};  // instead of body
  size_t body_limit = 4 << 20;
  // Called before the first byte of a body; true goes on, false ends the request as a success. May throw.
  std::function<bool(const HttpResponse&)> on_headers{};
  // Takes the body of a successful response; false ends the request as a success. May throw.
  std::function<bool(std::string_view)> sink{};
};

struct HttpOptions {
  std::string user_agent;
  std::chrono::milliseconds connect_timeout{30000};
  std::chrono::milliseconds stall_timeout{30000};
};

// One connection at a time over libcurl, kept open between requests; for one thread. Redirects are not
// followed. Proxies (HTTPS_PROXY, HTTP_PROXY, NO_PROXY, both cases) and authorities (SSL_CERT_FILE,
// SSL_CERT_DIR) come from the environment; loopback addresses never go through a proxy.
class HttpClient {
 public:
  explicit HttpClient(HttpOptions options);
  HttpClient(HttpClient&&) noexcept;
  HttpClient& operator=(HttpClient&&) = delete;
  ~HttpClient();

  // Throws HttpFailure, HttpStall, Error(cancelled) at once when `stop` is requested, and what the callbacks
  // throw.
  HttpResponse send(const HttpRequest& request, const std::stop_token& stop);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hearth
