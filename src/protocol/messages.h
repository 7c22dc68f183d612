#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/id.h"
#include "base/json.h"
#include "plan/plan.h"

// What parent and child say to each other: plain records, sent as length-prefixed JSON over a Unix socket
// pair.
namespace hearth {

// How a text is drawn from the scores; names, defaults and meaning are those of Ollama's options.
struct SamplingChoice {
  Json options = json::object();  // "temperature", "top_k", "seed" …; unknown names are refused by the worker
};

struct ChatMessage {
  std::string role, content;
};

// One request to a model: a conversation or a raw prompt.
struct Request {
  std::vector<ChatMessage> messages;
  std::optional<std::string> raw;  // used instead of messages, untemplated
  SamplingChoice sampling;
  uint32_t max_tokens = 0;  // 0 = until the model ends or the context is full
  std::vector<std::string> stop;
};

// Which file to load and how.
struct LoadRequest {
  std::string path;  // empty: the built-in model
  Wish wish;
  std::string cpu_set;   // HEARTH_CPU
  uint32_t threads = 0;  // HEARTH_THREADS
};

namespace to_child {
struct Load {
  LoadRequest request;
};
struct Start {
  RequestId id;
  Request request;
};
struct Cancel {
  RequestId id;
};
struct Leave {};
}  // namespace to_child

// Times in seconds, counts in tokens.
struct Statistics {
  double load = 0, prompt = 0, generation = 0, total = 0;
  uint32_t prompt_tokens = 0, cached_tokens = 0, generated_tokens = 0;
  uint64_t seed = 0;
};

namespace from_child {
// The model is loaded: what was really allocated, and what the plan noted.
struct Ready {
  std::string model, device;
  DeviceBuffers held;
  uint32_t context = 0;
  double load_seconds = 0;
  std::vector<std::string> notes;
};
struct Text {
  RequestId id;
  std::string text;
};
struct Done {
  RequestId id;
  std::string reason;  // "stop", "length" or "cancelled"
  Statistics statistics;
};
// A request failed (id) or the load did (id 0).
struct Failed {
  RequestId id;
  Code code = Code::bug;
  std::string message, remedy;
};
}  // namespace from_child

using ToChild = std::variant<to_child::Load, to_child::Start, to_child::Cancel, to_child::Leave>;
using FromChild = std::variant<from_child::Ready, from_child::Text, from_child::Done, from_child::Failed>;

// Records ↔ JSON. Decoding throws Error(bug) on a message of another build.
Json encode(const ToChild& message);
Json encode(const FromChild& message);
ToChild decode_to_child(const Json& json);
FromChild decode_from_child(const Json& json);

}  // namespace hearth
