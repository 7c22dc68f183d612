#include "server/models/conversion.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/subprocess.h"

namespace hearth {
namespace {

void send_job(int socket, const ConversionJob& job) {
  json::array from;
  for (const auto& path : job.from) from.emplace_back(path.string());
  json::object o{{"from", std::move(from)}, {"to", job.to.string()}};
  if (!job.quantize.empty()) o["quantize"] = job.quantize;
  if (!job.name.empty()) o["name"] = job.name;
  const std::string text = json::serialize(o);
  for (size_t at = 0; at < text.size();) {
    const ssize_t n = ::send(socket, text.data() + at, text.size() - at, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;  // it died: that is seen when it is read from
    at += static_cast<size_t>(n);
  }
  ::shutdown(socket, SHUT_WR);
}

// The next bytes; empty at the end. Throws Error(cancelled).
std::string receive(int socket, const std::stop_token& stop) {
  for (;;) {
    if (stop.stop_requested()) throw Error(Code::cancelled, "the conversion was cancelled", "");
    pollfd waiting{socket, POLLIN, 0};
    constexpr int ms = 100;
    if (::poll(&waiting, 1, ms) <= 0) continue;
    std::string bytes(65536, '\0');
    const ssize_t n = ::recv(socket, bytes.data(), bytes.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    bytes.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return bytes;
  }
}

std::string text_of(const json::object& o, const char* key) {
  const Json* at = o.if_contains(key);
  return at != nullptr && at->is_string() ? std::string(at->as_string()) : std::string();
}

}  // namespace

void convert_in_child(const ConversionJob& job, const std::function<void(const json::object&)>& progress,
                      const std::stop_token& stop) {
  Subprocess child("internal-convert");
  send_job(child.socket(), job);
  std::string held;
  bool done = false;
  for (std::string bytes = receive(child.socket(), stop); !bytes.empty();
       bytes = receive(child.socket(), stop)) {
    held += bytes;
    for (size_t end = held.find('\n'); end != std::string::npos; end = held.find('\n')) {
      const Json line = json::parse(std::string_view(held).substr(0, end));
      held.erase(0, end + 1);
      const json::object& o = line.as_object();
      if (o.contains("error"))
        throw Error(code_from_string(text_of(o, "code")), text_of(o, "error"), text_of(o, "remedy"));
      done = done || o.contains("done");
      if (!done) progress(o);
    }
  }
  if (done) return;
  throw Error(Code::io,
              fmt::format("the converting process {}: {}", child.wait_and_describe(), child.log_tail()),
              "look at the server's log; free memory or disk space if it was killed");
}

}  // namespace hearth
