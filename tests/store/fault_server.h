#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace hearth::test {

struct ServerRequest {
  std::string method, target, body;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? std::string() : found->second;
  }
};

struct ServerResponse {
  int status = 200;
  std::vector<std::string> headers{};
  std::string body{};
  size_t cut_after = SIZE_MAX;         // bytes of the body after which the connection is cut
  std::chrono::milliseconds delay{0};  // before the answer
  size_t burst = SIZE_MAX;             // bytes at a time, with `pause` between
  std::chrono::milliseconds pause{0};
};

// The answer to a request for bytes of `content`: 206 if it names a range, 200 if not.
ServerResponse serve_range(const ServerRequest& request, std::string_view content);

// An HTTP/1.1 server on a free port of the loopback address, a thread per connection, that answers as it is
// told.
class FaultServer {
 public:
  using Handler = std::function<ServerResponse(const ServerRequest&)>;
  explicit FaultServer(Handler handler);
  FaultServer(const FaultServer&) = delete;
  FaultServer& operator=(const FaultServer&) = delete;
  ~FaultServer();

  std::string host() const;  // "127.0.0.1:PORT"
  std::string url() const { return "http://" + host(); }
  // How many requests began with this: "GET /v2/ns/m/manifests".
  size_t count(std::string_view method_and_target) const;
  std::vector<ServerRequest> requests() const;

 private:
  void accept_all();
  void serve(int connection);
  bool answer(int connection, std::string& buffer);

  Handler handler_;
  int listener_ = -1;
  uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::vector<ServerRequest> requests_;
  std::set<int> open_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace hearth::test
