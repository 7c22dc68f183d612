#include "cli/run_options.h"

#include <fmt/format.h>

#include <array>
#include <filesystem>

#include "base/error.h"
#include "worker/open_model.h"

namespace hearth {
namespace {

bool looks_like_file(const std::string& word) {
  return word.ends_with(".gguf") || word.starts_with("/") || word.starts_with("./") ||
         word.starts_with("../");
}

}  // namespace

void name_model(RunOptions& options, const std::string& word) {
  options.model.clear();
  options.load.path.clear();
  if (word.empty() || word == builtin_name) return;
  std::error_code ignored;
  if (std::filesystem::is_regular_file(word, ignored) || looks_like_file(word)) {
    if (!std::filesystem::exists(word, ignored)) {
      throw Error(Code::not_found, fmt::format("no such file: {}", word), "check the path and its spelling");
    }
    options.load.path = word;
    return;
  }
  options.model = word;
}

ThinkChoice think_of(const std::string& word) {
  if (word.empty() || word == "true") return {true, true, "", false};
  if (word == "false") return {true, false, "", false};
  constexpr std::array levels{"low", "medium", "high", "max"};
  for (const char* level : levels) {
    if (word == level) return {true, true, word, false};
  }
  throw Error(Code::bad_request, fmt::format("invalid think value: '{}'", word),
              "use true, false, low, medium, high or max");
}

Json format_of(const std::string& text) {
  if (text == "json") return "json";
  boost::system::error_code broken;
  Json schema = json::parse(text, broken);
  if (broken || !schema.is_object()) {
    throw Error(Code::bad_request, fmt::format("the format '{}' is neither json nor a JSON Schema", text),
                "give json, or a schema as one JSON object");
  }
  return schema;
}

}  // namespace hearth
