#include "protocol/channel.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace hearth {
namespace {

constexpr uint32_t most_bytes = 256U << 20;

Json parse(const std::string& text) {
  boost::system::error_code failure;
  json::parse_options options;
  options.max_depth = 256;
  Json value = json::parse(text, failure, {}, options);
  if (failure) throw Error(Code::bug, "a message between processes is not JSON", "report this with the log");
  return value;
}

}  // namespace

bool Channel::send(const Json& message) {
  const std::string body = json::serialize(message);
  const auto length = static_cast<uint32_t>(body.size());
  std::string frame(sizeof length, '\0');
  std::memcpy(frame.data(), &length, sizeof length);
  frame += body;
  for (size_t at = 0; at < frame.size();) {
    const ssize_t sent = ::send(socket_, frame.data() + at, frame.size() - at, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    at += static_cast<size_t>(sent);
  }
  return true;
}

std::optional<std::string> Channel::take_buffered() {
  uint32_t length = 0;
  if (buffer_.size() < sizeof length) return std::nullopt;
  std::memcpy(&length, buffer_.data(), sizeof length);
  if (length > most_bytes) throw Error(Code::bug, "a message between processes is too long", "report this");
  if (buffer_.size() < sizeof length + length) return std::nullopt;
  std::string body = buffer_.substr(sizeof length, length);
  buffer_.erase(0, sizeof length + length);
  return body;
}

Channel::Received Channel::receive(int timeout_ms) {
  for (;;) {
    if (auto body = take_buffered()) return {State::message, parse(*body)};
    pollfd waiting{socket_, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, timeout_ms);
    if (ready <= 0) return {State::nothing, {}};
    std::array<char, 65536> chunk;
    const ssize_t got = ::recv(socket_, chunk.data(), chunk.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return {State::closed, {}};
    buffer_.append(chunk.data(), static_cast<size_t>(got));
  }
}

}  // namespace hearth
