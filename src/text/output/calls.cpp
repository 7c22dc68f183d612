#include "text/output/calls.h"

#include <algorithm>

namespace hearth::calls {
namespace {

std::string text_at(const json::object& o, std::string_view key) {
  const Json* at = o.if_contains(key);
  return at != nullptr && at->is_string() ? std::string(at->as_string()) : std::string();
}

std::optional<OutputCall> call_of(const Json& value, const OutputFormat& format) {
  if (!value.is_object()) return std::nullopt;
  const json::object* o = &value.get_object();
  if (const Json* inner = o->if_contains("function"); inner != nullptr && inner->is_object())
    o = &inner->get_object();
  OutputCall call{text_at(*o, format.name_key), json::object()};
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

// Whether the schema says that the parameter is a text.
bool is_text(const Json& parameters, std::string_view tool, std::string_view key) {
  const auto member = [](const Json* from, std::string_view name) -> const Json* {
    return from != nullptr && from->is_object() ? from->get_object().if_contains(name) : nullptr;
  };
  const Json* type = member(member(member(member(&parameters, tool), "properties"), key), "type");
  return type != nullptr && *type == "string";
}

// A parameter's text: JSON where it is a number, a word or a structure; else the text itself.
Json value_of(std::string_view text, bool is_a_text) {
  if (text.starts_with('\n')) text.remove_prefix(1);
  if (text.ends_with('\n')) text.remove_suffix(1);
  const std::string_view word = trimmed(text);
  const bool json_like =
      !is_a_text && !word.empty() &&
      (word.front() == '{' || word.front() == '[' || word.front() == '-' ||
       (word.front() >= '0' && word.front() <= '9') || word == "true" || word == "false" || word == "null");
  if (json_like) {
    if (auto value = parsed(word)) return *value;
  }
  return json::string(text);
}

}  // namespace

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

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

std::optional<std::vector<OutputCall>> of_json(const Json& value, const OutputFormat& format) {
  std::vector<OutputCall> calls;
  if (value.is_array()) {
    for (const Json& one : value.get_array()) {
      auto call = call_of(one, format);
      if (!call) return std::nullopt;
      calls.push_back(std::move(*call));
    }
  } else if (auto call = call_of(value, format)) {
    calls.push_back(std::move(*call));
  }
  return calls.empty() ? std::nullopt : std::optional(std::move(calls));
}

std::optional<OutputCall> of_function(std::string_view body, const Json& parameters) {
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
    arguments[name] =
        value_of(body.substr(name_end + 1, value_end - name_end - 1), is_text(parameters, call.name, name));
    if (value_end == std::string_view::npos) break;
    p = value_end;
  }
  return call;
}

std::optional<OutputCall> of_keys(std::string_view body, const Json& parameters) {
  constexpr std::string_view key_open = "<arg_key>", key_close = "</arg_key>", value_open = "<arg_value>",
                             value_close = "</arg_value>";
  OutputCall call{std::string(trimmed(body.substr(0, body.find(key_open)))), json::object()};
  if (call.name.empty() || call.name.find_first_of("<\n") != std::string::npos) return std::nullopt;
  for (size_t at = body.find(key_open); at != std::string_view::npos; at = body.find(key_open, at)) {
    const size_t key_end = body.find(key_close, at);
    const size_t value_at = body.find(value_open, at);
    const size_t value_end = body.find(value_close, at);
    if (key_end == std::string_view::npos || value_at == std::string_view::npos || value_at < key_end ||
        value_end == std::string_view::npos || value_end < value_at)
      return std::nullopt;
    const std::string_view key = trimmed(body.substr(at + key_open.size(), key_end - at - key_open.size()));
    const size_t from = value_at + value_open.size();
    call.arguments.as_object()[key] =
        value_of(body.substr(from, value_end - from), is_text(parameters, call.name, key));
    at = value_end;
  }
  return call;
}

std::optional<OutputCall> of_separated(std::string_view body, std::string_view separator) {
  const size_t at = body.find(separator);
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view name = trimmed(body.substr(0, at)), rest = body.substr(at + separator.size());
  if (name == "function") {  // the kind of the call; its name is the next line
    const size_t line = rest.find('\n');
    if (line == std::string_view::npos) return std::nullopt;
    name = trimmed(rest.substr(0, line));
    rest = rest.substr(line);
  }
  constexpr std::string_view space = "functions.";
  if (name.starts_with(space)) {  // functions.NAME:NUMBER
    name.remove_prefix(space.size());
    name = name.substr(0, name.rfind(':'));
  }
  const size_t first = rest.find('{');
  const auto length = first == std::string_view::npos ? std::nullopt : json_end(rest.substr(first));
  if (!length) return std::nullopt;
  auto arguments = parsed(rest.substr(first, *length));
  if (!arguments || !arguments->is_object()) return std::nullopt;
  return OutputCall{std::string(name), std::move(*arguments)};
}

}  // namespace hearth::calls
