#pragma once

#include <chrono>
#include <filesystem>
#include <optional>

#include "protocol/messages.h"

// What a model takes, asked from a child that reads its file, and remembered.
namespace hearth {

// Blocks until the child has answered. Throws the child's Error, or one that says how it died.
from_child::Surveyed survey_in_child(const to_child::Survey& survey,
                                     std::chrono::milliseconds patience = std::chrono::seconds(60));

// What each device of a request has for models now, asked with the built-in model; `overhead` bytes of each
// accelerator stay free. Throws as survey_in_child does.
std::vector<DeviceBudget> device_budgets(const LoadRequest& request, uint64_t overhead);

// Answers of survey_in_child in a folder, one small JSON file each, by what was asked, the file's size and
// time, and the build. What cannot be read or written is asked again; budgets are asked anew by the worker
// that loads, so that only numbers of the model are ever old.
class SurveyCache {
 public:
  explicit SurveyCache(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // `path`: the model's file; empty for the built-in one.
  from_child::Surveyed ask(const LoadRequest& request) const;

 private:
  std::filesystem::path folder_;
};

}  // namespace hearth
