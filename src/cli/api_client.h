#pragma once

#include <functional>
#include <string>

#include "base/json.h"
#include "http/client.h"
#include "http/host.h"

namespace hearth {

// A client of a running server (OLLAMA_HOST), of hearth or of what it replaces.
class ApiClient {
 public:
  // Throws Error(io) "could not connect …" where nobody answers.
  static ApiClient connect();

  // One request and its whole answer; null for an empty one. Throws Error with the server's own words.
  Json call(const std::string& method, const std::string& path, const Json& body = nullptr);
  // A request whose answer comes line by line. `on_line` returns false to end it. A line with "error" throws.
  void stream(const std::string& path, const Json& body, const std::function<bool(const Json&)>& on_line,
              const std::stop_token& stop = {});
  // A request without a body; its status.
  int head(const std::string& path);
  // Sends a file's bytes; its digest is in the path. Throws Error.
  void upload(const std::string& path, const HttpRequest::Upload& bytes);

 private:
  explicit ApiClient(const HostAddress& address);
  HttpRequest request(const std::string& method, const std::string& path) const;

  std::string base_;
  HttpClient client_;
};

}  // namespace hearth
