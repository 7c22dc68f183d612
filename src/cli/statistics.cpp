#include "cli/statistics.h"

#include <fmt/format.h>

#include "cli/human.h"

namespace hearth {
namespace {

void line(std::string& out, const char* label, const std::string& value) {
  out += fmt::format("{:<22}{}\n", std::string(label) + ":", value);
}

void part(std::string& out, const char* name, uint32_t tokens, double seconds) {
  const std::string label = name;
  if (tokens > 0) line(out, (label + " count").c_str(), fmt::format("{} token(s)", tokens));
  if (seconds > 0) line(out, (label + " duration").c_str(), human_duration(seconds));
  if (tokens > 0 && seconds > 0)
    line(out, (label + " rate").c_str(), fmt::format("{:.2f} tokens/s", tokens / seconds));
}

}  // namespace

std::string statistics_text(const Statistics& s) {
  std::string out;
  if (s.total > 0) line(out, "total duration", human_duration(s.total));
  if (s.load > 0) line(out, "load duration", human_duration(s.load));
  part(out, "prompt eval", s.prompt_tokens, s.prompt);
  part(out, "eval", s.generated_tokens, s.generation);
  return out;
}

}  // namespace hearth
