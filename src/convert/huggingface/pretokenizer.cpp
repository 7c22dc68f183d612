// Pre-tokenizers by their steps: the regular expressions that published tokenizers carry, letter by letter.
#include <fmt/format.h>

#include <array>

#include "base/error.h"
#include "convert/huggingface/tokenizer.h"

namespace hearth::huggingface {
namespace {

struct Known {
  std::string_view pre;
  std::string_view steps;  // one behind the other, '\n' between
};

#define CONTRACTION "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define WORD R"([^\r\n\p{L}\p{N}]?\p{L}+)"
#define SYMBOLS R"( ?[^\s\p{L}\p{N}]+)"
#define LINES R"(\s*[\r\n]+|\s+(?!\S)|\s+)"
#define UPPER R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])"
#define LOWER R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])"
#define LEAD R"([^\r\n\p{L}\p{N}]?)"

constexpr std::array known{
    Known{"gpt-2", "bytes"},
    Known{"smollm", "digits\nbytes"},
    Known{"llama-bpe", CONTRACTION "|" WORD R"(|\p{N}{1,3}|)" SYMBOLS R"([\r\n]*|)" LINES},
    Known{"qwen2", CONTRACTION "|" WORD R"(|\p{N}|)" SYMBOLS R"([\r\n]*|)" LINES},
    Known{"qwen35",
          CONTRACTION R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|)" LINES},
    Known{"tekken",
          LEAD UPPER "*" LOWER "+|" LEAD UPPER "+" LOWER R"(*|\p{N}|)" SYMBOLS R"([\r\n/]*|)" LINES},
    Known{"gpt-4o", LEAD UPPER "*" LOWER "+" CONTRACTION "?|" LEAD UPPER "+" LOWER "*" CONTRACTION
                               R"(?|\p{N}{1,3}|)" SYMBOLS R"([\r\n/]*|)" LINES},
    Known{
        "deepseek-v3",
        R"(\p{N}{1,3})"
        "\n"
        "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
        "\n"
        R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|)" LINES},
};

#undef CONTRACTION
#undef WORD
#undef SYMBOLS
#undef LINES
#undef UPPER
#undef LOWER
#undef LEAD

[[noreturn]] void unsupported(const std::string& what) {
  throw Error(Code::unsupported, fmt::format("the pre-tokenizer is not known: {}", what.substr(0, 300)),
              "the texts would be cut wrongly: use a GGUF of the model");
}

std::string text(const json::object& step, const char* key) {
  const Json* value = step.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

bool flag(const json::object& step, const char* key, bool otherwise) {
  const Json* value = step.if_contains(key);
  return value != nullptr && value->is_bool() ? value->get_bool() : otherwise;
}

// One step's name for the table; empty where it cuts nothing.
std::string step_name(const Json& value) {
  if (!value.is_object()) unsupported("a step is no object");
  const json::object& step = value.get_object();
  const std::string type = text(step, "type");
  if (type == "ByteLevel") {
    if (flag(step, "add_prefix_space", false)) unsupported("ByteLevel with a space in front");
    return flag(step, "use_regex", true) ? "bytes" : "";
  }
  if (type == "Digits" && flag(step, "individual_digits", false)) return "digits";
  if (type == "Split" && text(step, "behavior") == "Isolated" && !flag(step, "invert", false)) {
    const Json* pattern = step.if_contains("pattern");
    if (pattern != nullptr && pattern->is_object()) {
      std::string regex = text(pattern->get_object(), "Regex");
      if (!regex.empty()) return regex;
    }
  }
  unsupported(json::serialize(value));
}

}  // namespace

std::string recognise_pretokenizer(const Json& pre_tokenizer) {
  if (!pre_tokenizer.is_object()) unsupported("none is given");
  const json::object& outer = pre_tokenizer.get_object();
  std::string steps;
  const auto add = [&](const Json& step) {
    const std::string name = step_name(step);
    if (!name.empty()) steps += (steps.empty() ? "" : "\n") + name;
  };
  if (text(outer, "type") == "Sequence") {
    const Json* list = outer.if_contains("pretokenizers");
    if (list == nullptr || !list->is_array() || list->get_array().size() > 16)
      unsupported("no list of steps");
    for (const Json& step : list->get_array()) add(step);
  } else {
    add(pre_tokenizer);
  }
  for (const Known& k : known) {
    if (k.steps == steps) return std::string(k.pre);
  }
  unsupported(steps);
}

}  // namespace hearth::huggingface
