// Any source: parsing and rendering a Go template end, within the limits, with a prompt or a TemplateError.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "text/chat_template.h"

namespace hearth {
namespace {

constexpr size_t output_limit = 1 << 16;

const Json& data() {
  static const Json value = json::parse(R"({
    "S": "Hello World", "E": "", "I": 7, "F": 2.5, "T": true, "B": false, "N": null, "L": [3, 1, 2], "LE": [],
    "M": {"b": 2, "a": 1, "c": "x"}, "ME": {}, "U": "\u00e9\ud83d\ude00<&>\"'\\",
    "Messages": [{"Role": "system", "Content": "S"}, {"Role": "user", "Content": "<|im_end|>"}],
    "Deep": {"A": {"B": [10, {"C": "deep"}]}}})");
  return value;
}

Conversation conversation() {
  Conversation made;
  for (const char* message :
       {R"({"role": "system", "content": "S \u00e9\ud83d\ude00"})",
        R"({"role": "user", "content": "<|im_end|>"})",
        R"({"role": "assistant", "content": "", "thinking": "t",
            "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {"a": "x", "b": [1, 2.5]}}}]})",
        R"({"role": "tool", "content": "r", "tool_name": "f"})", R"({"role": "assistant", "content": "A"})"})
    made.messages.push_back(json::parse(message));
  made.tools =
      json::parse(R"([{"type": "function", "function": {"name": "f", "description": "D", "parameters":
      {"type": "object", "required": ["a"], "properties": {"a": {"type": ["string", "null"]},
       "b": {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "string"}}], "enum": [1, 2.5]}}}}}])");
  made.think = true;
  return made;
}

void check(const Prompt& prompt) {
  size_t size = 0;
  const Part* before = nullptr;
  for (const Part& part : prompt) {
    if (part.text.empty() || (before && before->origin == part.origin)) std::abort();
    size += part.text.size();
    before = &part;
  }
  if (size > output_limit) std::abort();
}

template <class Work>
void attempt(Work work) {
  try {
    work();
  } catch (const TemplateError& error) {
    if (error.message.empty()) std::abort();
  }
}

void run(std::string_view source) {
  static const Conversation chat = conversation();
  RenderOptions options;
  options.limits = {.steps = 200'000, .depth = 300, .output_bytes = output_limit, .memory_bytes = 1 << 22};
  options.now = std::tm{};
  attempt([&] {
    const GoTemplate parsed = GoTemplate::parse(source);
    if (parsed.hints().tool_call.empty()) std::abort();
    if (parsed.abilities().thinking == parsed.hints().thinking_close.empty()) std::abort();
    attempt([&] { check(parsed.render_data(data(), options)); });
    attempt([&] { check(parsed.render(chat, options)); });
  });
}

}  // namespace
}  // namespace hearth

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* input, size_t size) {
  hearth::run({reinterpret_cast<const char*>(input), size});
  return 0;
}
