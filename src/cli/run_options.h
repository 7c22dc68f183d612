#pragma once

#include <optional>
#include <string>
#include <vector>

#include "protocol/messages.h"

namespace hearth {

// What `hearth run` was asked for.
struct RunOptions {
  LoadRequest load;
  std::string system;
  bool verbose = false, no_wrap = false, raw = false;
  uint32_t max_tokens = 0;
  std::optional<double> temperature;
  std::optional<int64_t> seed;
  std::vector<std::string> stop;
};

// The request that these options make of a conversation.
Request request_of(const RunOptions& options, std::vector<ChatMessage> messages);

// Prints one answer to standard output. An empty prompt loads the model and returns.
void answer_once(RunOptions options, const std::string& prompt);

}  // namespace hearth
