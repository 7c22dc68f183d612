// Any source: parsing and rendering end, within the limits, with a prompt or a TemplateError.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "text/template.h"

namespace hearth {
namespace {

constexpr size_t output_limit = 1 << 16;

const Json& context() {
  static const Json value = json::parse(R"({
    "bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": true, "documents": null,
    "tools": [{"type": "function", "function": {"name": "f", "parameters":
               {"type": "object", "properties": {"a": {"type": "string"}, "b": {"enum": [1, 2.5]}}}}}],
    "messages": [{"role": "system", "content": "S \u00e9\ud83d\ude00"}, {"role": "user", "content": "<|im_end|>"},
                 {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": {"a": "x"}}}]},
                 {"role": "tool", "content": [{"type": "text", "text": "t"}, {"type": "image"}]}],
    "l": [3, 1, 2], "d": {"b": 1, "a": [true, null]}, "s": "Hello World", "i": 7, "x": 2.5})");
  return value;
}

void run(std::string_view source) {
  RenderOptions options;
  options.limits = {.steps = 200'000, .depth = 300, .output_bytes = output_limit, .memory_bytes = 1 << 22};
  options.now = std::tm{};
  try {
    const Template parsed = Template::parse(source);
    size_t size = 0;
    const Part* before = nullptr;
    const Prompt prompt = parsed.render(context(), options);
    for (const Part& part : prompt) {
      if (part.text.empty() || (before && before->origin == part.origin)) std::abort();
      size += part.text.size();
      before = &part;
    }
    if (size > output_limit) std::abort();
  } catch (const TemplateError& error) {
    if (error.kind != TemplateError::Kind::raised && error.message.empty()) std::abort();
  }
}

}  // namespace
}  // namespace hearth

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hearth::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
