#pragma once

#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/json.h"

namespace hearth {

struct ConversionJob {
  std::vector<std::filesystem::path> from;  // a GGUF file, or the files of a published model
  std::filesystem::path to;
  std::string quantize, name;  // empty: keep the types; what the files say
};

// Converts or quantizes in a child process, which alone reads the model. `progress` gets the child's lines.
// Blocking. Throws the child's Error, or one that says how it died; Error(cancelled).
void convert_in_child(const ConversionJob& job, const std::function<void(const json::object&)>& progress,
                      const std::stop_token& stop);

}  // namespace hearth
