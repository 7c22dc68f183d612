#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/run_options.h"
#include "protocol/messages.h"

namespace hearth {

// What a command does with the parts of an answer as they come.
struct Listener {
  std::function<void(const std::string&)> text;
  std::function<void(const std::string&)> thinking = {};
  std::function<void(const ToolCall&)> called = {};
  std::function<void(const std::vector<std::vector<float>>&)> vectors = {};
};

struct Answer {
  std::string reason;
  Statistics statistics;
};

// Somebody who answers requests with one model: a worker process of our own, or a server.
class Talker {
 public:
  virtual ~Talker() = default;

  // Runs one request. `interrupted` is asked several times a second: true cancels. Throws the request's
  // Error.
  virtual Answer ask(const Request& request, const Listener& listener,
                     const std::function<bool()>& interrupted) = 0;
  // What was noted while the model was loaded.
  virtual std::vector<std::string> notes() const = 0;
  // The model, where it is and what it holds, as lines of text.
  virtual std::string description() const = 0;
  // Where it is: "cpu", "vulkan0, cpu".
  virtual std::string device() = 0;
  // The chat template that the model uses; empty if it has none.
  virtual std::string template_text() = 0;
  // Whether the model makes vectors instead of text.
  virtual bool embeds() = 0;
};

// The model that the options name, loaded. A name that the server does not have is pulled first.
std::unique_ptr<Talker> open_talker(const RunOptions& options);

// Throws Error(unsupported) where no part of "vulkan0, cpu" is a GPU.
void check_gpu(const std::string& devices);

}  // namespace hearth
