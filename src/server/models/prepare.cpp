// What a model brings along goes behind what a request says.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "server/models/catalog.h"

namespace hearth {
namespace {

enum class Kind { integer, real, boolean, list, texts };

struct Option {
  std::string_view name;
  Kind kind;
  bool loads;  // belongs to loading a model, not to a request
};

constexpr std::array options{
    Option{"num_ctx", Kind::integer, true},
    Option{"num_batch", Kind::integer, true},
    Option{"num_gpu", Kind::integer, true},
    Option{"main_gpu", Kind::integer, true},
    Option{"use_mmap", Kind::boolean, true},
    Option{"num_thread", Kind::integer, true},
    Option{"draft_num_predict", Kind::integer, true},
    Option{"num_keep", Kind::integer, false},
    Option{"seed", Kind::integer, false},
    Option{"num_predict", Kind::integer, false},
    Option{"temperature", Kind::real, false},
    Option{"top_k", Kind::integer, false},
    Option{"top_p", Kind::real, false},
    Option{"min_p", Kind::real, false},
    Option{"typical_p", Kind::real, false},
    Option{"repeat_last_n", Kind::integer, false},
    Option{"repeat_penalty", Kind::real, false},
    Option{"presence_penalty", Kind::real, false},
    Option{"frequency_penalty", Kind::real, false},
    Option{"top_n_sigma", Kind::real, false},
    Option{"xtc_probability", Kind::real, false},
    Option{"xtc_threshold", Kind::real, false},
    Option{"ignore_eos", Kind::boolean, false},
    Option{"dry_multiplier", Kind::real, false},
    Option{"dry_base", Kind::real, false},
    Option{"dry_allowed_length", Kind::integer, false},
    Option{"dry_penalty_last_n", Kind::integer, false},
    Option{"dry_sequence_breakers", Kind::texts, false},
    Option{"samplers", Kind::texts, false},
    Option{"mirostat", Kind::integer, false},
    Option{"mirostat_tau", Kind::real, false},
    Option{"mirostat_eta", Kind::real, false},
    Option{"stop", Kind::list, false},
};

[[noreturn]] void wrong(std::string_view name, std::string_view type) {
  throw Error(Code::bad_request, fmt::format("option \"{}\" must be of type {}", name, type),
              fmt::format("send a value of type {}", type));
}

int64_t integer(const Json& value) {
  constexpr double most = 9e15;
  return static_cast<int64_t>(std::clamp(std::trunc(value.to_number<double>()), -most, most));
}

std::vector<std::string> texts(std::string_view name, const Json& value) {
  if (!value.is_array()) wrong(name, "array of strings");
  std::vector<std::string> list;
  for (const Json& s : value.as_array()) {
    if (!s.is_string()) wrong(name, "array of strings");
    list.emplace_back(s.as_string());
  }
  return list;
}

std::vector<std::string> stops(const Json& value) {
  if (value.is_string()) return {std::string(value.as_string())};
  return texts("stop", value);
}

void check(const Option& option, const Json& value) {
  if ((option.kind == Kind::integer || option.kind == Kind::real) && !value.is_number())
    wrong(option.name, option.kind == Kind::integer ? "integer" : "float32");
  if (option.kind == Kind::boolean && !value.is_bool()) wrong(option.name, "boolean");
  if (option.kind == Kind::texts) texts(option.name, value);
}

uint32_t bounded(const Json& value, int64_t least, int64_t most) {
  return static_cast<uint32_t>(std::clamp(integer(value), least, most));
}

void load_option(std::string_view name, const Json& value, ModelSpec& spec) {
  if (name == "num_ctx") {
    spec.load.wish.context = bounded(value, 4, 1 << 24);
    spec.automatic_context = false;
  } else if (name == "num_batch") {
    spec.load.wish.rows = bounded(value, 32, 8192);
  } else if (name == "num_gpu") {
    // Negative: as many as fit, which is the plan's business anyway.
    if (const int64_t layers = integer(value); layers >= 0)
      spec.load.wish.gpu_layers = static_cast<uint32_t>(std::min<int64_t>(layers, 100000));
  } else if (name == "main_gpu") {
    spec.load.wish.main_gpu = bounded(value, 0, 1024);
  } else if (name == "num_thread") {
    spec.load.threads = bounded(value, 0, 1024);
  }
}

// One option of model or request, the request's first: what is set already is not set again.
void take(const Option& option, const Json& value, Request& request, ModelSpec& spec,
          json::object& sampling) {
  check(option, value);
  if (option.loads) return load_option(option.name, value, spec);
  if (option.name == "stop") {
    request.stop = stops(value);
  } else if (option.name == "num_predict") {
    request.max_tokens = bounded(value, 0, 1U << 30);
  } else {
    sampling[option.name] = option.kind == Kind::integer ? Json(integer(value)) : value;
  }
}

void take_options(Request& request, ModelSpec& spec, const ResolvedModel& model,
                  const std::function<void(const std::string&)>& warn, const json::object& fallback) {
  json::object merged = fallback;
  for (const auto& [key, value] : model.parts.params) merged[key] = value;
  for (const auto& [key, value] : request.sampling.options.as_object()) {
    if (!value.is_null()) merged[key] = value;
  }
  const uint32_t max_tokens = request.max_tokens;
  const std::vector<std::string> stop = request.stop;
  const auto budget = request.think_budget;
  json::object sampling;
  for (const auto& [key, value] : merged) {
    const std::string_view name(key.data(), key.size());
    const auto option =
        std::find_if(options.begin(), options.end(), [&](const Option& o) { return o.name == name; });
    if (option != options.end()) {
      take(*option, value, request, spec, sampling);
    } else if (name == "logit_bias") {
      sampling[name] = value;
    } else if (name == "thinking_budget_tokens" || name == "reasoning_budget_tokens") {
      if (!value.is_number()) wrong(name, "integer");
      if (!budget && integer(value) >= 0) request.think_budget = bounded(value, 0, 1 << 30);
    } else if (name == "grammar") {
      if (!value.is_string()) wrong(name, "string");
      if (request.format.is_null() && !value.as_string().empty())
        request.format = json::object{{"gbnf", value}};
    } else {
      warn(fmt::format("option \"{}\" is not known and has no effect", name));
    }
  }
  // What a dialect has said of its own accord counts more.
  if (max_tokens != 0) request.max_tokens = max_tokens;
  if (!stop.empty()) request.stop = stop;
  request.sampling.options = std::move(sampling);
}

ChatMessage message_of(const Json& m) {
  const auto text = [&](const char* key) {
    const Json* at = m.is_object() ? m.as_object().if_contains(key) : nullptr;
    return at != nullptr && at->is_string() ? std::string(at->as_string()) : std::string();
  };
  return {text("role"), text("content")};
}

}  // namespace

void prepare(Request& request, ModelSpec& spec, const ResolvedModel& model, const LoadDefaults& defaults,
             const std::function<void(const std::string&)>& warn, const json::object& fallback) {
  take_options(request, spec, model, warn, fallback);
  request.full_model = model.full;
  if (model.installed) request.parser = model.installed->config.parser;
  request.go_template = model.parts.prompt_template;
  request.prefer_go = defaults.prefer_go;
  if (request.model.empty()) request.model = model.display;
  if (request.messages.empty()) return;
  std::vector<ChatMessage> front;
  const bool own_system = request.messages.front().role == "system";
  if (!own_system && model.parts.system && !model.parts.system->empty())
    front.push_back({"system", *model.parts.system});
  if (request.context.empty()) {
    for (const Json& m : model.parts.messages) front.push_back(message_of(m));
  }
  request.messages.insert(request.messages.begin(), front.begin(), front.end());
}

}  // namespace hearth
