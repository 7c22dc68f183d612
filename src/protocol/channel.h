#pragma once

#include <string>

#include "base/json.h"
#include "protocol/frames.h"

namespace hearth {

// Messages (frames.h) over a connected stream socket, for an end that may block. One thread per end.
class Channel {
 public:
  explicit Channel(int socket) : socket_(socket) {}

  enum class State { message, nothing, closed };
  struct Received {
    State state = State::nothing;
    Json message;
  };

  // Blocks until all is written. False: the peer is gone. Throws Error(bad_request) on an endless message.
  bool send(const Json& message);
  // Keeps a message until the next flush() or send(): what is written at once wakes the peer once.
  void hold(const Json& message);
  // Blocks until all that was held is written. False: the peer is gone, and what was held with it.
  bool flush();
  // Waits up to `timeout_ms` (−1 = for ever, 0 = not at all); a wait that a signal interrupts returns
  // `nothing`. Throws Error(bug) on what is no message (FrameReader::next).
  Received receive(int timeout_ms);

 private:
  int socket_;
  FrameReader frames_;
  std::string held_;
};

}  // namespace hearth
