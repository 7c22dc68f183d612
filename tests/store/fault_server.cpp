#include "fault_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <stdexcept>

namespace hearth::test {
namespace {

bool send_all(int connection, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool receive(int connection, std::string& buffer) {
  char chunk[16384];
  const ssize_t got = ::recv(connection, chunk, sizeof chunk, 0);
  if (got <= 0) return false;
  buffer.append(chunk, static_cast<size_t>(got));
  return true;
}

ServerRequest parse_head(std::string_view head) {
  ServerRequest request;
  const size_t first = head.find(' '), second = head.find(' ', first + 1);
  request.method = head.substr(0, first);
  request.target = head.substr(first + 1, second - first - 1);
  size_t at = head.find("\r\n");
  while (at != std::string_view::npos) {
    const size_t end = head.find("\r\n", at + 2);
    const std::string_view line = head.substr(at + 2, end == std::string_view::npos ? end : end - at - 2);
    if (const size_t colon = line.find(':'); colon != std::string_view::npos) {
      std::string name(line.substr(0, colon));
      for (char& c : name) c = static_cast<char>(std::tolower(c));
      const size_t from = line.find_first_not_of(' ', colon + 1);
      request.headers[name] = from == std::string_view::npos ? "" : std::string(line.substr(from));
    }
    at = end;
  }
  return request;
}

}  // namespace

ServerResponse serve_range(const ServerRequest& request, std::string_view content) {
  unsigned long long begin = 0, end = 0;
  if (std::sscanf(request.header("range").c_str(), "bytes=%llu-%llu", &begin, &end) != 2) {
    return {200, {}, std::string(content)};
  }
  if (begin >= content.size()) return {416};
  end = std::min<unsigned long long>(end, content.size() - 1);
  return {206,
          {fmt::format("Content-Range: bytes {}-{}/{}", begin, end, content.size())},
          std::string(content.substr(begin, end - begin + 1))};
}

FaultServer::FaultServer(Handler handler) : handler_(std::move(handler)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (listener_ < 0 || ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener_, 64) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("cannot listen on the loopback address");
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

FaultServer::~FaultServer() {
  stopping_ = true;
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  {
    const std::lock_guard lock(mutex_);
    for (const int connection : open_) ::shutdown(connection, SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
  ::close(listener_);
}

std::string FaultServer::host() const { return fmt::format("127.0.0.1:{}", port_); }

size_t FaultServer::count(std::string_view method_and_target) const {
  const std::lock_guard lock(mutex_);
  return static_cast<size_t>(
      std::count_if(requests_.begin(), requests_.end(), [&](const ServerRequest& request) {
        return fmt::format("{} {}", request.method, request.target).starts_with(method_and_target);
      }));
}

std::vector<ServerRequest> FaultServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void FaultServer::accept_all() {
  while (!stopping_) {
    const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) continue;
    const std::lock_guard lock(mutex_);
    open_.insert(connection);
    threads_.emplace_back([this, connection] { serve(connection); });
  }
}

void FaultServer::serve(int connection) {
  std::string buffer;
  while (!stopping_ && answer(connection, buffer)) {
  }
  {
    const std::lock_guard lock(mutex_);
    open_.erase(connection);
  }
  ::close(connection);
}

// One request; false when the connection is to end.
bool FaultServer::answer(int connection, std::string& buffer) {
  size_t end = 0;
  while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
    if (!receive(connection, buffer)) return false;
  }
  ServerRequest request = parse_head(std::string_view(buffer).substr(0, end));
  buffer.erase(0, end + 4);
  const size_t length = static_cast<size_t>(std::atoll(request.header("content-length").c_str()));
  while (buffer.size() < length) {
    if (!receive(connection, buffer)) return false;
  }
  request.body = buffer.substr(0, length);
  buffer.erase(0, length);
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
  }
  const ServerResponse response = handler_(request);
  const auto wait = [this](std::chrono::milliseconds time) {
    const auto until = std::chrono::steady_clock::now() + time;
    while (!stopping_ && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::min(time, std::chrono::milliseconds(10)));
    }
  };
  wait(response.delay);
  std::string head = fmt::format("HTTP/1.1 {} Status\r\n", response.status);
  bool has_length = false;
  for (const std::string& header : response.headers) {
    head += header + "\r\n";
    has_length = has_length || header.starts_with("Content-Length:");
  }
  if (!has_length) head += fmt::format("Content-Length: {}\r\n", response.body.size());
  if (!send_all(connection, head + "\r\n")) return false;
  if (request.method == "HEAD") return true;
  const std::string_view body = std::string_view(response.body).substr(0, response.cut_after);
  for (size_t at = 0; at < body.size(); at += std::min(response.burst, body.size() - at)) {
    if (at > 0) wait(response.pause);
    if (stopping_ || !send_all(connection, body.substr(at, response.burst))) return false;
  }
  return response.cut_after >= response.body.size();
}

}  // namespace hearth::test
