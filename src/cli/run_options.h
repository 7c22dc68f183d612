#pragma once

#include <optional>
#include <string>
#include <vector>

#include "protocol/messages.h"

namespace hearth {

// What `hearth run` was asked for.
struct RunOptions {
  LoadRequest load;
  std::string model;  // a name that a server knows; empty: the file in `load`, or the built-in model
  std::string keep_alive;
  ThinkChoice think;
  Json format = nullptr;
  bool hide_thinking = false, insecure = false, truncate = false, require_gpu = false;
  uint32_t dimensions = 0;  // of embeddings; 0 = all
  std::string system;
  bool verbose = false, no_wrap = false, raw = false;
  uint32_t max_tokens = 0;
  std::optional<double> temperature;
  std::optional<int64_t> seed;
  std::vector<std::string> stop;
};

// Says which model is meant: the built-in one's name, a file (by its ending, its path or because it is
// there), else a name that a server knows. Throws Error(not_found) for a file that is not there.
void name_model(RunOptions& options, const std::string& word);

// "", true, false, low, medium, high, max. Throws Error(bad_request).
ThinkChoice think_of(const std::string& word);

// "json", or a JSON Schema as text. Throws Error(bad_request).
Json format_of(const std::string& text);

// The request that these options make of a conversation.
Request request_of(const RunOptions& options, std::vector<ChatMessage> messages);

// Prints one answer to standard output. An empty prompt loads the model and returns.
void answer_once(RunOptions options, const std::string& prompt);

}  // namespace hearth
