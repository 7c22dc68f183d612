#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/json.h"

namespace hearth {

// Length-prefixed JSON messages over a connected stream socket (u32 little-endian length, then the text). One
// thread per end.
class Channel {
 public:
  explicit Channel(int socket) : socket_(socket) {}

  enum class State { message, nothing, closed };
  struct Received {
    State state = State::nothing;
    Json message;
  };

  // Blocks until all is written. False: the peer is gone.
  bool send(const Json& message);
  // Waits up to `timeout_ms` (−1 = for ever, 0 = not at all); a wait that a signal interrupts returns
  // `nothing`. Throws Error(bug) on a message that is no JSON or longer than 256 MiB.
  Received receive(int timeout_ms);

 private:
  std::optional<std::string> take_buffered();

  int socket_;
  std::string buffer_;
};

}  // namespace hearth
