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

// A call of a tool: one that the model made, or one that a conversation tells of.
struct ToolCall {
  std::string id, name;
  Json arguments = json::object();
};

struct ChatMessage {
  std::string role, content;
  std::string thinking = {};  // what the assistant thought before it answered
  std::vector<ToolCall> tool_calls = {};
  std::string tool_name = {}, tool_call_id = {};  // of the result that a message of role "tool" carries
};

// Whether the model is to think before it answers. Not set: it does if it can.
struct ThinkChoice {
  bool set = false, on = false;
  std::string level;     // "low", "medium", "high", "max"; empty = none given
  bool if_able = false;  // no error where the model cannot
};

// What is wanted of an answer that may call tools.
struct CallChoice {
  bool must = false;    // it calls one of them, and says nothing else
  bool several = true;  // it may call more than one
};

// A text with its name: a file beside the one that is written in.
struct NamedText {
  std::string name, text;
};

// One request to a model: a conversation, a raw prompt, or texts to embed.
struct Request {
  std::string model;       // as the client calls it, for messages; empty = as the worker does
  std::string full_model;  // the same with host, owner and tag
  bool chat = false;       // asked for as a chat, for messages
  std::vector<ChatMessage> messages;
  std::optional<std::string> raw;  // used instead of messages, untemplated
  Json tools = nullptr;            // array of tools as the client gave it
  CallChoice calls;
  ThinkChoice think;
  std::optional<uint32_t> think_budget = {};  // tokens of thinking at most; 0: none. Not set: no bound
  Json format = nullptr;                      // "json", a JSON Schema, or {"gbnf": "…"}
  std::optional<std::string> suffix;          // fill in the middle: raw's text goes before, this after
  std::vector<NamedText> around = {};         // other files, to be seen before both
  std::optional<std::string> template_text;   // a Go template instead of the model's own
  std::optional<std::string> go_template;     // the model's own besides the one in its file
  std::optional<bool> prefer_go;              // which of the two: the setting GO_TEMPLATE
  std::string parser;                         // what the model names as its parser; empty: its template tells
  SamplingChoice sampling;
  uint32_t max_tokens = 0;  // 0 = until the model ends or the context is full
  std::vector<std::string> stop;
  std::optional<uint32_t> logprobs;  // report each token's probability and so many likeliest others
  bool render_only = false;          // answer with the rendered prompt instead of generating
  bool count_only = false;           // answer with the number of its tokens (Statistics::prompt_tokens)
  bool progress = false;             // tell how much of the prompt is read
  bool plain = false;                // a raw prompt of which nothing but its own tokens is wanted: no BOS

  std::vector<int32_t> context;  // tokens of an earlier exchange that this one follows
  bool want_context = false;     // Done tells the tokens of prompt and answer

  // What is longer than the context is cut, which is reported; otherwise it is refused.
  bool truncate = true;
  // An answer that fills the context goes on with half of what was kept; otherwise it ends ("length").
  bool shift = true;

  std::vector<std::string> embed;                  // texts to embed, instead of all above
  std::vector<std::vector<int32_t>> embed_tokens;  // the same as tokens, instead of texts
  bool normalise = true;                           // their vectors to length 1
  // Each text of `embed` is judged by how well it answers this: a vector of one number between 0 and 1.
  std::optional<std::string> query;
};

// Attention that came out wrong in a probe: layers with such heads are computed in two passes where those
// came out right, else elsewhere.
struct FailedAttention {
  std::string device;
  uint32_t head_size = 0;
  KvType type{};  // of the cache
  std::string cause = {};
  bool two_pass = false;  // came out right
};

// Products with a type of weights that failed in a probe: parts with such weights are computed elsewhere.
struct FailedProduct {
  std::string device, type;  // the type's name, "Q4_K"
  std::string cause = {};
};

// Which file to load and how.
struct LoadRequest {
  std::string path;  // empty: the built-in model
  Wish wish;
  std::string cpu_set;                    // HEARTH_CPU
  uint32_t threads = 0;                   // HEARTH_THREADS
  std::vector<std::string> devices = {};  // names, in the order of use; empty = the CPU
  std::string backends = {};              // HEARTH_BACKENDS: folders of the modules
  // What is known of the devices, one for each name or none: rates, and memory that must stay free. usable 0
  // = what is free when the model is loaded; otherwise no more than that.
  std::vector<DeviceBudget> budgets = {};
  // What the devices' drivers are to find in their environment; empty = the variable is removed.
  std::vector<std::pair<std::string, std::string>> environment = {};
  std::vector<FailedAttention> avoid = {};
  std::vector<FailedProduct> avoid_products = {};
  bool vectors = false;  // texts are turned into vectors, whatever the model was made for
  // Of the rows of a step and of the time of a device's jobs: 1 where a device was lost before.
  uint32_t halvings = 0;
  bool two_pass_attention = false;  // OLLAMA_FLASH_ATTENTION=0: see Attend::two_pass
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
// Answered by Inspected, or Failed with id 0.
struct Inspect {
  std::string path;     // empty: the built-in model
  bool arrays = false;  // long values too
  // What a model has beside its file: they decide with it what it can do.
  std::optional<std::string> go_template = {};
  std::optional<bool> prefer_go = {};
  std::string parser = {};
};
// What a model takes on the devices of a request: answered by Surveyed, or Failed with id 0. Nothing is
// loaded. `headers`: the beginnings of the model's files, if the files are not here; request.path else.
struct Survey {
  struct Header {
    std::string path;
    uint64_t file_bytes = 0;  // of the whole file
  };
  LoadRequest request;
  std::vector<Header> headers = {};
};
// Answered by Pong between two steps of computing: a sign of life.
struct Ping {};
struct Leave {};
}  // namespace to_child

// Times in seconds, counts in tokens.
struct Statistics {
  double load = 0, prompt = 0, generation = 0, total = 0;
  uint32_t prompt_tokens = 0, cached_tokens = 0, generated_tokens = 0;
  uint32_t truncated_tokens = 0;  // of the prompt as it was asked for, that did not fit
  uint32_t thinking_tokens = 0;   // of the generated ones, with the marker that ends the thinking
  uint64_t seed = 0;
};

namespace from_child {
// The model is loaded: what was really allocated, and what the plan noted.
struct Ready {
  std::string model, device;
  std::vector<DeviceBuffers> held;  // of the devices that take part
  uint32_t context = 0;
  double load_seconds = 0;
  std::vector<std::string> notes;
};
// One generated token with its probability, as natural logarithms.
struct TokenProbability {
  std::string text;
  double logprob = 0;
  std::vector<std::pair<std::string, double>> best;  // the likeliest at this place
};
struct Text {
  RequestId id;
  std::string text;
  std::vector<TokenProbability> tokens = {};  // only where asked for
};
struct Thinking {
  RequestId id;
  std::string text;
};
struct Called {
  RequestId id;
  ToolCall call;
};
// How much of a prompt has been read, before the first piece of the answer: tokens, of which those that were
// taken from the cache count as processed, and the time since the request was begun.
struct PromptProgress {
  RequestId id;
  uint32_t total = 0, cached = 0, processed = 0;
  double seconds = 0;
};
// The normalised vectors of a request's texts, in order, and their tokens together.
struct Vectors {
  RequestId id;
  std::vector<std::vector<float>> vectors;
};
struct Done {
  RequestId id;
  std::string reason;  // "stop", "length" or "cancelled"; from the scheduler also "load"
  Statistics statistics;
  std::vector<int32_t> context = {};  // where asked for
};
// A request failed (id) or the load did (id 0). With id 0 and device_lost after Ready: a device was lost, the
// worker ends, and of its requests nothing more is heard.
struct Failed {
  RequestId id;
  Code code = Code::bug;
  std::string message, remedy;
};
struct Pong {};
// What a model file says of itself (worker/inspect.h).
struct Inspected {
  Json what;
};
// What a dry run says: for place(). `facts`: {architecture, parameter_count, file_type, file_bytes}.
struct Surveyed {
  bool goes_on = false;  // a header is longer than what was there of it; nothing else is set then
  MemoryProfile profile = {};
  std::vector<DeviceBudget> budgets = {};  // one per device of the request
  Json facts = json::object();
};
}  // namespace from_child

using ToChild = std::variant<to_child::Load, to_child::Start, to_child::Cancel, to_child::Inspect,
                             to_child::Survey, to_child::Ping, to_child::Leave>;
using FromChild =
    std::variant<from_child::Ready, from_child::Text, from_child::Thinking, from_child::Called,
                 from_child::PromptProgress, from_child::Vectors, from_child::Done, from_child::Failed,
                 from_child::Pong, from_child::Inspected, from_child::Surveyed>;

// Records ↔ JSON. Decoding throws Error(bug) on a message of another build.
Json encode(const ToChild& message);
Json encode(const FromChild& message);
ToChild decode_to_child(const Json& json);
FromChild decode_from_child(const Json& json);

}  // namespace hearth
