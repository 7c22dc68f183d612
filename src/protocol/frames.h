#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace hearth {

// The bytes that carry messages between processes: u32 little-endian length, then JSON text. Apart from any
// socket, so that blocking and asynchronous ends share it.

// One message as it travels. Throws Error(bad_request) where the text is longer than 256 MiB.
std::string frame_of(const Json& message);

// Cuts a stream of bytes back into messages.
class FrameReader {
 public:
  void append(std::string_view bytes) { buffer_.append(bytes); }
  // The next whole message. Throws Error(bug) on one that is no JSON, is nested deeper than 256 levels or
  // announces more than 256 MiB; the stream is of no use after that.
  std::optional<Json> next();

 private:
  std::string buffer_;
  size_t taken_ = 0;  // bytes at the front that were given out already
};

}  // namespace hearth
