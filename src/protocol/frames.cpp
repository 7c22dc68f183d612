#include "protocol/frames.h"

#include <fmt/format.h>

#include <cstdint>
#include <cstring>

#include "base/error.h"

namespace hearth {
namespace {

constexpr size_t most_bytes = size_t{256} << 20;

Json parse(std::string_view text) {
  boost::system::error_code failure;
  json::parse_options options;
  options.max_depth = 256;
  Json value = json::parse(text, failure, {}, options);
  if (failure) throw Error(Code::bug, "a message between processes is not JSON", "report this with the log");
  return value;
}

}  // namespace

std::string frame_of(const Json& message) {
  const std::string body = json::serialize(message);
  if (body.size() > most_bytes) {
    throw Error(
        Code::bad_request,
        fmt::format("the request is {} MiB long, more than {} MiB", body.size() >> 20, most_bytes >> 20),
        "send a shorter one");
  }
  const auto length = static_cast<uint32_t>(body.size());
  std::string frame(sizeof length, '\0');
  std::memcpy(frame.data(), &length, sizeof length);
  frame += body;
  return frame;
}

std::optional<Json> FrameReader::next() {
  uint32_t length = 0;
  const std::string_view rest = std::string_view(buffer_).substr(taken_);
  if (rest.size() >= sizeof length) std::memcpy(&length, rest.data(), sizeof length);
  if (length > most_bytes) throw Error(Code::bug, "a message between processes is too long", "report this");
  if (rest.size() < sizeof length || rest.size() - sizeof length < length) {
    buffer_.erase(0, taken_);
    taken_ = 0;
    return std::nullopt;
  }
  taken_ += sizeof length + length;
  return parse(rest.substr(sizeof length, length));
}

}  // namespace hearth
