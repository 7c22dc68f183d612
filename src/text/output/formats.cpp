// How models mark their answers: told by their templates, or by the name of a parser.
#include <array>
#include <utility>

#include "text/output.h"

namespace hearth {
namespace {

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

void find_thinking(std::string_view source, OutputFormat& f) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 5> pairs{
      {{"<think>", "</think>"},
       {"[THINK]", "[/THINK]"},
       {"<seed:think>", "</seed:think>"},
       {"<|START_THINKING|>", "<|END_THINKING|>"},
       {"<reasoning>", "</reasoning>"}}};
  for (const auto& [open, close] : pairs) {
    // Some templates only look for the end.
    if (!has(source, close)) continue;
    f.think_open = open;
    f.think_close = close;
    return;
  }
}

void set(OutputFormat& f, CallStyle style, std::string_view open, std::string_view close) {
  f.calls = style;
  f.call_open = open;
  f.call_close = close;
}

void set_channels(OutputFormat& f) {
  f = {};
  f.calls = CallStyle::channels;
}

void set_deepseek(OutputFormat& f) {
  set(f, CallStyle::separated, "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>");
  f.separator = "<｜tool▁sep｜>";
  f.wrap_open = "<｜tool▁calls▁begin｜>";
  f.wrap_close = "<｜tool▁calls▁end｜>";
}

void set_kimi(OutputFormat& f) {
  set(f, CallStyle::separated, "<|tool_call_begin|>", "<|tool_call_end|>");
  f.separator = "<|tool_call_argument_begin|>";
  f.wrap_open = "<|tool_calls_section_begin|>";
  f.wrap_close = "<|tool_calls_section_end|>";
}

void set_cohere(OutputFormat& f) {
  set(f, CallStyle::tagged, "<|START_ACTION|>", "<|END_ACTION|>");
  f.name_key = "tool_name";
  f.arguments_key = "parameters";
}

void find_calls(std::string_view source, OutputFormat& f) {
  const bool mentions = has(source, "tools") || has(source, ".Tools") || has(source, "tool_call");
  if (!mentions) return;
  // Models that were shown "parameters" answer with that; the word alone is also a member of every tool.
  if (has(source, "\"parameters") && !has(source, "\"arguments")) f.arguments_key = "parameters";
  if (has(source, "<｜tool▁call▁begin｜>")) return set_deepseek(f);
  if (has(source, "<|tool_call_argument_begin|>")) return set_kimi(f);
  if (has(source, "<tool_call>") && has(source, "<arg_key>"))
    return set(f, CallStyle::keyed, "<tool_call>", "</tool_call>");
  if (has(source, "<tool_call>") && has(source, "<function="))
    return set(f, CallStyle::functions, "<tool_call>", "</tool_call>");
  if (has(source, "[TOOL_CALLS]") && has(source, "[ARGS]"))
    return set(f, CallStyle::named, "[TOOL_CALLS]", "");
  if (has(source, "[TOOL_CALLS]")) return set(f, CallStyle::tagged, "[TOOL_CALLS]", "");
  if (has(source, "<tool_call>"))
    return set(f, CallStyle::tagged, "<tool_call>", has(source, "</tool_call>") ? "</tool_call>" : "");
  if (has(source, "<|tool_call|>"))
    return set(f, CallStyle::tagged, "<|tool_call|>", has(source, "<|/tool_call|>") ? "<|/tool_call|>" : "");
  if (has(source, "<|tool_call_start|>"))
    return set(f, CallStyle::python, "<|tool_call_start|>", "<|tool_call_end|>");
  if (has(source, "<function_calls>"))
    return set(f, CallStyle::python, "<function_calls>", "</function_calls>");
  if (has(source, "<|python_tag|>")) return set(f, CallStyle::tagged, "<|python_tag|>", "");
  if (has(source, "functools[")) return set(f, CallStyle::tagged, "functools", "");
  if (has(source, "<|START_ACTION|>")) return set_cohere(f);
  set(f, CallStyle::bare, "{", "");
}

OutputFormat thinking() { return {"<think>", "</think>", CallStyle::none, "", ""}; }

}  // namespace

std::vector<std::string> OutputFormat::markers() const {
  if (calls == CallStyle::channels)
    return {"<|start|>", "<|channel|>", "<|constrain|>", "<|message|>", "<|end|>", "<|call|>", "<|return|>"};
  std::vector<std::string> all;
  for (const std::string* m :
       {&think_open, &think_close, &call_open, &call_close, &separator, &wrap_open, &wrap_close}) {
    if (!m->empty()) all.push_back(*m);
  }
  if (calls == CallStyle::named) all.emplace_back("[ARGS]");
  return all;
}

std::string OutputFormat::thinking_end(bool may_call) const {
  if (calls != CallStyle::channels) return think_close;
  const std::string next = "<|end|><|start|>assistant";
  return may_call ? next : next + "<|channel|>final<|message|>";
}

OutputFormat format_of_template(std::string_view source) {
  OutputFormat f;
  if (has(source, "<|channel|>") && has(source, "<|message|>")) {
    set_channels(f);
    return f;
  }
  find_thinking(source, f);
  find_calls(source, f);
  return f;
}

std::optional<OutputFormat> format_of_parser(std::string_view name) {
  OutputFormat f = thinking();
  const auto is = [&](auto... names) { return ((name == names) || ...); };
  if (is("passthrough")) return OutputFormat();
  if (is("harmony")) {
    set_channels(f);
  } else if (is("qwen3", "qwen3-thinking", "qwen3-vl-instruct", "qwen3-vl-thinking")) {
    set(f, CallStyle::tagged, "<tool_call>", "</tool_call>");
  } else if (is("qwen3.5", "qwen3-coder", "nemotron-3-nano", "nemotron-3.5-nano")) {
    set(f, CallStyle::functions, "<tool_call>", "</tool_call>");
  } else if (is("ministral")) {
    f = {"[THINK]", "[/THINK]", CallStyle::named, "[TOOL_CALLS]", ""};
  } else if (is("deepseek3", "cogito")) {
    set_deepseek(f);
  } else if (is("olmo3", "olmo3-think")) {
    set(f, CallStyle::python, "<function_calls>", "</function_calls>");
  } else if (is("glm-4.7", "glm-ocr")) {
    set(f, CallStyle::keyed, "<tool_call>", "</tool_call>");
  } else if (is("lfm2", "lfm2-thinking")) {
    set(f, CallStyle::python, "<|tool_call_start|>", "<|tool_call_end|>");
  } else if (is("cohere")) {
    f = {"<|START_THINKING|>", "<|END_THINKING|>", CallStyle::none, "", ""};
    set_cohere(f);
  } else {
    return std::nullopt;
  }
  return f;
}

}  // namespace hearth
