#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "protocol/messages.h"
#include "scheduler/scheduler.h"

// What every API dialect (Ollama's, OpenAI's, Anthropic's) is made of: a body becomes a Call, and what the
// worker says to it becomes the bytes of a response. Pure functions of their inputs: no socket, no clock.
namespace hearth {

// What is written into replies that is not the model's: fixed in tests.
struct Stamp {
  std::string id;  // random; "chatcmpl-" + id, "msg_" + id …
  std::chrono::system_clock::time_point now;
};

// Turns the pieces of a call's requests into the bytes of one response.
class Reply {
 public:
  virtual ~Reply() = default;
  virtual std::string_view content_type() const = 0;
  // What to send before the first piece; empty in a reply that is sent whole.
  virtual std::string open() { return {}; }
  // What to send now that request number `index` said `piece`; empty where it waits. A Failed is written in
  // the dialect's way for errors in a running stream.
  virtual std::string on(size_t index, const Piece& piece) = 0;
  // What keeps a stream open in which nothing has happened for a while; empty where there is no such thing.
  virtual std::string idle() { return {}; }
  // Every request had its Done or Failed: the rest of the stream, or the whole body.
  virtual std::string close() = 0;
};

// A body that was understood. Its requests run side by side ("n" choices, several prompts); most calls have
// one. Options in `request.sampling.options` are spelt as Ollama spells them, loading options ("num_ctx")
// among them: the server takes those out.
struct Call {
  std::string model;
  std::vector<Request> requests;
  bool stream = false;
  bool vectors = false;  // of texts; also where there is no text and the model is only loaded
  KeepAlive keep_alive;
  json::object fallback = {};  // options where neither the request nor the model says anything
  std::unique_ptr<Reply> reply;
};

// A comment in a stream of server-sent events (WHATWG HTML, 9.2).
inline constexpr std::string_view keep_alive_comment = ": keep-alive\n\n";

// An error as a dialect writes it: the HTTP status, and the body of a response that had not begun.
struct ErrorReply {
  int status = 500;
  std::string body;
};

}  // namespace hearth
