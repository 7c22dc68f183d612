#include "text/output.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace hearth {
namespace {

constexpr std::string_view blanks = " \t\r\n";
// A call longer than this is none.
constexpr size_t longest_call = size_t{1} << 20;

// How many bytes at the end of `text` may be the beginning of `marker`.
size_t partial(std::string_view text, std::string_view marker) {
  for (size_t n = std::min(text.size(), marker.empty() ? 0 : marker.size() - 1); n > 0; --n) {
    if (text.ends_with(marker.substr(0, n))) return n;
  }
  return 0;
}

// Where the JSON value that begins at the first byte ends; none if it has not ended yet.
std::optional<size_t> json_end(std::string_view text) {
  size_t depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if ((c == '}' || c == ']') && --depth == 0) {
      return i + 1;
    }
  }
  return std::nullopt;
}

std::optional<Json> parsed(std::string_view text) {
  boost::system::error_code broken;
  json::parse_options options;
  options.max_depth = 100;
  Json value = json::parse(text, broken, {}, options);
  return broken ? std::nullopt : std::optional<Json>(std::move(value));
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

std::string text_at(const json::object& o, std::string_view key) {
  const Json* at = o.if_contains(key);
  return at != nullptr && at->is_string() ? std::string(at->as_string()) : std::string();
}

// {"name", "arguments" | "parameters"}, also as {"function": {…}}; arguments may be text that holds an
// object.
std::optional<OutputCall> call_of(const Json& value) {
  if (!value.is_object()) return std::nullopt;
  const json::object* o = &value.get_object();
  if (const Json* inner = o->if_contains("function"); inner != nullptr && inner->is_object())
    o = &inner->get_object();
  OutputCall call{text_at(*o, "name"), json::object()};
  if (call.name.empty()) return std::nullopt;
  for (const char* key : {"arguments", "parameters"}) {
    const Json* at = o->if_contains(key);
    if (at == nullptr || at->is_null()) continue;
    std::optional<Json> given = at->is_string() ? parsed(at->get_string()) : std::optional<Json>(*at);
    if (!given || !given->is_object()) return std::nullopt;
    call.arguments = std::move(*given);
    return call;
  }
  return o->size() == 1 ? std::optional<OutputCall>(std::move(call)) : std::nullopt;
}

std::optional<std::vector<OutputCall>> calls_of(const Json& value) {
  std::vector<OutputCall> calls;
  if (value.is_array()) {
    for (const Json& one : value.get_array()) {
      auto call = call_of(one);
      if (!call) return std::nullopt;
      calls.push_back(std::move(*call));
    }
  } else if (auto call = call_of(value)) {
    calls.push_back(std::move(*call));
  }
  return calls.empty() ? std::nullopt : std::optional(std::move(calls));
}

// A parameter's text: JSON where it is a number, a word or a structure; else the text itself.
Json parameter_value(std::string_view text) {
  if (text.starts_with('\n')) text.remove_prefix(1);
  if (text.ends_with('\n')) text.remove_suffix(1);
  const std::string_view word = trimmed(text);
  const bool json_like =
      !word.empty() &&
      (word.front() == '{' || word.front() == '[' || word.front() == '-' ||
       (word.front() >= '0' && word.front() <= '9') || word == "true" || word == "false" || word == "null");
  if (json_like) {
    if (auto value = parsed(word)) return *value;
  }
  return json::string(text);
}

std::optional<OutputCall> function_call(std::string_view body) {
  constexpr std::string_view open = "<function=", parameter = "<parameter=", end = "</parameter>";
  const size_t at = body.find(open);
  const size_t close = at == std::string_view::npos ? at : body.find('>', at);
  if (close == std::string_view::npos) return std::nullopt;
  OutputCall call{std::string(trimmed(body.substr(at + open.size(), close - at - open.size()))),
                  json::object()};
  json::object& arguments = call.arguments.as_object();
  for (size_t p = body.find(parameter, close); p != std::string_view::npos; p = body.find(parameter, p)) {
    const size_t name_end = body.find('>', p);
    if (name_end == std::string_view::npos) return std::nullopt;
    const size_t value_end = std::min(
        {body.find(end, name_end), body.find(parameter, name_end), body.find("</function>", name_end)});
    const std::string_view name = trimmed(body.substr(p + parameter.size(), name_end - p - parameter.size()));
    arguments[name] = parameter_value(body.substr(name_end + 1, value_end - name_end - 1));
    if (value_end == std::string_view::npos) break;
    p = value_end;
  }
  return call;
}

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

void find_thinking(std::string_view source, OutputFormat& f) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> pairs{
      {{"<think>", "</think>"},
       {"[THINK]", "[/THINK]"},
       {"<seed:think>", "</seed:think>"},
       {"<reasoning>", "</reasoning>"}}};
  for (const auto& [open, close] : pairs) {
    // Some templates only look for the end.
    if (!has(source, close)) continue;
    f.think_open = open;
    f.think_close = close;
    return;
  }
}

void find_calls(std::string_view source, OutputFormat& f) {
  const bool mentions = has(source, "tools") || has(source, ".Tools") || has(source, "tool_call");
  if (!mentions) return;
  const auto set = [&](CallStyle style, std::string_view open, std::string_view close) {
    f.calls = style;
    f.call_open = open;
    f.call_close = close;
  };
  if (has(source, "<tool_call>") && has(source, "<function="))
    return set(CallStyle::functions, "<tool_call>", "</tool_call>");
  if (has(source, "[TOOL_CALLS]") && has(source, "[ARGS]")) return set(CallStyle::named, "[TOOL_CALLS]", "");
  if (has(source, "[TOOL_CALLS]")) return set(CallStyle::tagged, "[TOOL_CALLS]", "");
  if (has(source, "<tool_call>"))
    return set(CallStyle::tagged, "<tool_call>", has(source, "</tool_call>") ? "</tool_call>" : "");
  if (has(source, "<|tool_call|>"))
    return set(CallStyle::tagged, "<|tool_call|>", has(source, "<|/tool_call|>") ? "<|/tool_call|>" : "");
  if (has(source, "<|python_tag|>")) return set(CallStyle::tagged, "<|python_tag|>", "");
  if (has(source, "functools[")) return set(CallStyle::tagged, "functools", "");
  if (has(source, "<|START_ACTION|>")) return set(CallStyle::tagged, "<|START_ACTION|>", "<|END_ACTION|>");
  set(CallStyle::bare, "{", "");
}

}  // namespace

OutputFormat format_of_template(std::string_view source) {
  OutputFormat f;
  find_thinking(source, f);
  find_calls(source, f);
  return f;
}

OutputParser::OutputParser(OutputFormat format, OutputOptions options)
    : format_(std::move(format)), options_(std::move(options)) {
  if (options_.tools.empty()) format_.calls = CallStyle::none;
  if (format_.think_open.empty()) {
    state_ = State::text;
    trim_ = false;
  } else if (options_.starts_thinking) {
    state_ = State::thinking;
  }
}

std::vector<OutputPiece> OutputParser::push(std::string_view text) {
  held_ += text;
  std::vector<OutputPiece> out;
  while (step(false, out)) {
  }
  return out;
}

std::vector<OutputPiece> OutputParser::finish() {
  std::vector<OutputPiece> out;
  while (step(true, out)) {
  }
  return out;
}

// Does what can be done with the text that is held; false: nothing more.
bool OutputParser::step(bool last, std::vector<OutputPiece>& out) {
  switch (state_) {
    case State::begin: return begin(last);
    case State::thinking: return think(last, out);
    case State::text: return plain(last, out);
    case State::call: return call(last, out);
  }
  return false;
}

void OutputParser::skip_blanks() {
  if (!trim_) return;
  held_.erase(0, std::min(held_.find_first_not_of(blanks), held_.size()));
  if (!held_.empty()) trim_ = false;
}

// The answer's first word decides whether it thinks.
bool OutputParser::begin(bool last) {
  const size_t first = std::min(held_.find_first_not_of(blanks), held_.size());
  const std::string_view rest = std::string_view(held_).substr(first);
  if (rest.starts_with(format_.think_open)) {
    held_.erase(0, first + format_.think_open.size());
    state_ = State::thinking;
    return true;
  }
  if (!last && std::string_view(format_.think_open).starts_with(rest)) return false;
  state_ = State::text;
  trim_ = false;
  return true;
}

bool OutputParser::think(bool last, std::vector<OutputPiece>& out) {
  skip_blanks();
  const size_t end = held_.find(format_.think_close);
  const bool ended = end != std::string::npos;
  // Blanks in front of the end are not told, so they wait until it is clear what follows.
  size_t shown = ended ? end : held_.size() - (last ? 0 : partial(held_, format_.think_close));
  if (!last || ended) {
    const size_t word = std::string_view(held_).substr(0, shown).find_last_not_of(blanks);
    shown = word == std::string_view::npos ? 0 : word + 1;
  }
  if (shown > 0) out.emplace_back(OutputThought{held_.substr(0, shown)});
  if (!ended) {
    held_.erase(0, shown);
    return false;
  }
  held_.erase(0, end + format_.think_close.size());
  state_ = State::text;
  trim_ = true;
  return true;
}

bool OutputParser::plain(bool last, std::vector<OutputPiece>& out) {
  skip_blanks();
  size_t shown = held_.size();
  if (format_.calls == CallStyle::bare) {
    const size_t first = held_.find_first_not_of(blanks);
    if (!told_ && first == std::string::npos && !last) return false;
    if (!told_ && first != std::string::npos && (held_[first] == '{' || held_[first] == '[')) {
      state_ = State::call;
      return true;
    }
  } else if (format_.calls != CallStyle::none) {
    const size_t at = held_.find(format_.call_open);
    if (at != std::string::npos) {
      const size_t word = std::string_view(held_).substr(0, at).find_last_not_of(blanks);
      if (word != std::string_view::npos) out.emplace_back(OutputText{held_.substr(0, word + 1)});
      told_ = told_ || word != std::string_view::npos;
      held_.erase(0, at);
      state_ = State::call;
      return true;
    }
    if (!last) {
      shown -= partial(held_, format_.call_open);
      // Blanks before a call are not told either.
      const size_t word = std::string_view(held_).substr(0, shown).find_last_not_of(blanks);
      shown = word == std::string_view::npos ? 0 : word + 1;
    }
  }
  if (shown == 0) return false;
  out.emplace_back(OutputText{held_.substr(0, shown)});
  told_ = true;
  held_.erase(0, shown);
  return false;
}

bool OutputParser::known(std::string_view name) const {
  return std::find(options_.tools.begin(), options_.tools.end(), name) != options_.tools.end();
}

// What was taken for a call is text after all.
void OutputParser::give_up(std::vector<OutputPiece>& out) {
  // The marker itself goes out, so that what follows is looked at anew.
  const size_t marker =
      format_.calls == CallStyle::bare ? held_.size() : std::min(held_.size(), format_.call_open.size());
  if (marker > 0) out.emplace_back(OutputText{held_.substr(0, marker)});
  held_.erase(0, marker);
  told_ = true;
  state_ = State::text;
}

bool OutputParser::take_json_calls(std::string_view body, size_t consumed, std::vector<OutputPiece>& out) {
  const auto value = parsed(body);
  auto calls = value ? calls_of(*value) : std::nullopt;
  if (!calls ||
      !std::all_of(calls->begin(), calls->end(), [&](const OutputCall& c) { return known(c.name); })) {
    give_up(out);
    return true;
  }
  for (OutputCall& c : *calls) out.emplace_back(std::move(c));
  held_.erase(0, consumed);
  state_ = State::text;
  trim_ = true;
  return true;
}

bool OutputParser::call(bool last, std::vector<OutputPiece>& out) {
  const std::string_view text = held_;
  const size_t open = format_.calls == CallStyle::bare ? 0 : format_.call_open.size();
  const auto wait = [&] {
    if (!last && held_.size() < longest_call) return false;
    give_up(out);
    return true;
  };
  if (format_.calls == CallStyle::functions) {
    const size_t end = text.find(format_.call_close);
    if (end == std::string_view::npos && !(last && has(text, "</function>"))) return wait();
    const auto found = function_call(text.substr(open, std::min(end, text.size()) - open));
    if (!found || !known(found->name)) {
      give_up(out);
      return true;
    }
    out.emplace_back(*found);
    held_.erase(0, end == std::string_view::npos ? held_.size() : end + format_.call_close.size());
    state_ = State::text;
    trim_ = true;
    return true;
  }
  size_t from = open;
  std::string name;
  if (format_.calls == CallStyle::named) {
    constexpr std::string_view arguments = "[ARGS]";
    const size_t at = text.find(arguments, open);
    if (at == std::string_view::npos) return wait();
    name = trimmed(text.substr(open, at - open));
    from = at + arguments.size();
  }
  const size_t first = text.find_first_not_of(blanks, from);
  if (first == std::string_view::npos) return wait();
  if (text[first] != '{' && text[first] != '[') {
    give_up(out);
    return true;
  }
  const auto length = json_end(text.substr(first));
  if (!length) return wait();
  const std::string body(text.substr(first, *length));
  size_t consumed = first + *length;
  if (!format_.call_close.empty()) {
    const size_t rest = std::min(text.find_first_not_of(blanks, consumed), text.size());
    if (text.substr(rest).starts_with(format_.call_close)) {
      consumed = rest + format_.call_close.size();
    } else if (!last && std::string_view(format_.call_close).starts_with(text.substr(rest))) {
      return false;  // the end is on its way
    }
  }
  if (name.empty()) return take_json_calls(body, consumed, out);
  json::object whole{{"name", name}};
  whole["arguments"] = parsed(body).value_or(Json());
  return take_json_calls(json::serialize(whole), consumed, out);
}

}  // namespace hearth
