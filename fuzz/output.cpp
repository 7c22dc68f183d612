// Answers of a model, in every format, cut anywhere: nothing crashes and nothing grows beyond what came in.
#include <cstdint>
#include <string>

#include "text/output.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  using hearth::CallStyle;
  constexpr const char* parsers[] = {"qwen3",   "qwen3-coder", "ministral", "harmony",    "deepseek3",
                                     "glm-4.7", "lfm2",        "cohere",    "passthrough"};
  const size_t kind = data[0] % 16;
  hearth::OutputFormat format;
  if (kind < std::size(parsers)) {
    format = *hearth::format_of_parser(parsers[kind]);
  } else {
    format.calls = CallStyle::bare;
    format.call_open = "{";
  }
  if ((data[0] & 64) != 0) {
    format.think_open = "<think>";
    format.think_close = "</think>";
  }
  hearth::OutputParser parser(format, {(data[0] & 128) != 0, {"f"}, {}});
  const size_t step = 1 + data[1] % 32;
  const std::string text(reinterpret_cast<const char*>(data) + 2, size - 2);
  size_t shown = 0;
  const auto count = [&](const std::vector<hearth::OutputPiece>& pieces) {
    for (const auto& p : pieces) {
      if (const auto* t = std::get_if<hearth::OutputText>(&p)) shown += t->text.size();
      if (const auto* t = std::get_if<hearth::OutputThought>(&p)) shown += t->text.size();
    }
  };
  for (size_t at = 0; at < text.size(); at += step) count(parser.push(text.substr(at, step)));
  count(parser.finish());
  if (shown > text.size()) __builtin_trap();
  return 0;
}
