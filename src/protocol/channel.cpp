#include "protocol/channel.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace hearth {

bool Channel::send(const Json& message) {
  hold(message);
  return flush();
}

void Channel::hold(const Json& message) { held_ += frame_of(message); }

bool Channel::flush() {
  const std::string frames = std::exchange(held_, {});
  for (size_t at = 0; at < frames.size();) {
    const ssize_t sent = ::send(socket_, frames.data() + at, frames.size() - at, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    at += static_cast<size_t>(sent);
  }
  return true;
}

Channel::Received Channel::receive(int timeout_ms) {
  for (;;) {
    if (auto message = frames_.next()) return {State::message, std::move(*message)};
    pollfd waiting{socket_, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, timeout_ms);
    if (ready <= 0) return {State::nothing, {}};
    std::array<char, 65536> chunk;
    const ssize_t got = ::recv(socket_, chunk.data(), chunk.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return {State::closed, {}};
    frames_.append({chunk.data(), static_cast<size_t>(got)});
  }
}

}  // namespace hearth
