#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>

#include "base/error.h"
#include "store/modelfile.h"

namespace hearth {
namespace {

enum class Type { integer, real, boolean, text_list };

struct Known {
  std::string_view name;
  Type type;
};

// The option keys of the API, ollama-api.md §3.3.
constexpr Known known[] = {
    {"num_ctx", Type::integer},
    {"num_batch", Type::integer},
    {"num_gpu", Type::integer},
    {"main_gpu", Type::integer},
    {"num_thread", Type::integer},
    {"draft_num_predict", Type::integer},
    {"num_keep", Type::integer},
    {"seed", Type::integer},
    {"num_predict", Type::integer},
    {"top_k", Type::integer},
    {"repeat_last_n", Type::integer},
    {"temperature", Type::real},
    {"top_p", Type::real},
    {"min_p", Type::real},
    {"typical_p", Type::real},
    {"repeat_penalty", Type::real},
    {"presence_penalty", Type::real},
    {"frequency_penalty", Type::real},
    {"use_mmap", Type::boolean},
    {"stop", Type::text_list},
};

constexpr std::string_view obsolete[] = {"penalize_newline", "low_vram",     "f16_kv",
                                         "logits_all",       "vocab_only",   "use_mlock",
                                         "mirostat",         "mirostat_tau", "mirostat_eta"};

[[noreturn]] void invalid(std::string_view type, const Modelfile::Parameter& parameter) {
  throw Error(Code::bad_request, fmt::format("invalid {} value [{}]", type, parameter.value),
              fmt::format("give PARAMETER {} a value of that type", parameter.name));
}

// The whole text as one number; a leading plus sign is no part of it.
template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

json::value typed(const Modelfile::Parameter& parameter, Type type) {
  const std::string& text = parameter.value;
  if (type == Type::integer) {
    const auto number = parse_number<int64_t>(text);
    if (!number) invalid("int", parameter);
    return *number;
  }
  if (type == Type::real) {
    const auto number = parse_number<double>(text);
    if (!number || !std::isfinite(*number)) invalid("float", parameter);
    return *number;
  }
  if (type == Type::boolean) {
    for (const std::string_view yes : {"1", "t", "T", "true", "TRUE", "True"}) {
      if (text == yes) return true;
    }
    for (const std::string_view no : {"0", "f", "F", "false", "FALSE", "False"}) {
      if (text == no) return false;
    }
    invalid("bool", parameter);
  }
  return json::value(text);
}

std::string plain(const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_double()) return fmt::format("{}", value.get_double());  // JSON text would say 7E-1
  return json::serialize(value);
}

void for_each_scalar(const json::object& parameters,
                     const std::function<void(std::string_view name, const json::value& value)>& visit) {
  for (const auto& [key, value] : parameters) {
    const std::string_view name(key.data(), key.size());
    if (!value.is_array()) {
      visit(name, value);
      continue;
    }
    for (const json::value& entry : value.get_array()) visit(name, entry);
  }
}

}  // namespace

json::object typed_parameters(const std::vector<Modelfile::Parameter>& parameters,
                              std::vector<std::string>& warnings) {
  json::object object;
  for (const Modelfile::Parameter& parameter : parameters) {
    if (std::find(std::begin(obsolete), std::end(obsolete), parameter.name) != std::end(obsolete)) {
      warnings.push_back(fmt::format("parameter '{}' is obsolete and left out", parameter.name));
      continue;
    }
    const auto* entry = std::find_if(std::begin(known), std::end(known),
                                     [&](const Known& one) { return one.name == parameter.name; });
    if (entry == std::end(known)) {
      throw Error(Code::bad_request, fmt::format("unknown parameter '{}'", parameter.name),
                  "see the list of parameters in the documentation");
    }
    json::value value = typed(parameter, entry->type);
    if (entry->type != Type::text_list) {
      object[entry->name] = std::move(value);
      continue;
    }
    json::value& list = object[entry->name];
    if (!list.is_array()) list.emplace_array();
    list.get_array().push_back(std::move(value));
  }
  return object;
}

std::vector<Modelfile::Parameter> untyped_parameters(const json::object& parameters) {
  std::vector<Modelfile::Parameter> list;
  for_each_scalar(parameters, [&](std::string_view name, const json::value& value) {
    list.push_back({std::string(name), plain(value)});
  });
  return list;
}

std::string parameter_lines(const json::object& parameters) {
  std::string out;
  for_each_scalar(parameters, [&](std::string_view name, const json::value& value) {
    if (!out.empty()) out += '\n';
    out += fmt::format("{:<30} {}", name, value.is_string() ? json::serialize(value) : plain(value));
  });
  return out;
}

}  // namespace hearth
