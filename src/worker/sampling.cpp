#include "worker/sampling.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <random>
#include <variant>

namespace hearth {
namespace {

using Field = std::variant<float SamplingOptions::*, int32_t SamplingOptions::*>;

constexpr std::array<std::pair<std::string_view, Field>, 19> fields{{
    {"temperature", &SamplingOptions::temperature},
    {"top_k", &SamplingOptions::top_k},
    {"top_p", &SamplingOptions::top_p},
    {"min_p", &SamplingOptions::min_p},
    {"typical_p", &SamplingOptions::typical_p},
    {"repeat_last_n", &SamplingOptions::repeat_last_n},
    {"repeat_penalty", &SamplingOptions::repeat_penalty},
    {"presence_penalty", &SamplingOptions::presence_penalty},
    {"frequency_penalty", &SamplingOptions::frequency_penalty},
    {"top_n_sigma", &SamplingOptions::top_n_sigma},
    {"xtc_probability", &SamplingOptions::xtc_probability},
    {"xtc_threshold", &SamplingOptions::xtc_threshold},
    {"dry_multiplier", &SamplingOptions::dry_multiplier},
    {"dry_base", &SamplingOptions::dry_base},
    {"dry_allowed_length", &SamplingOptions::dry_allowed_length},
    {"dry_penalty_last_n", &SamplingOptions::dry_penalty_last_n},
    {"mirostat", &SamplingOptions::mirostat},
    {"mirostat_tau", &SamplingOptions::mirostat_tau},
    {"mirostat_eta", &SamplingOptions::mirostat_eta},
}};

double number(std::string_view name, const Json& value) {
  if (!value.is_number()) {
    throw Error(Code::bad_request, fmt::format("option \"{}\" must be of type number", name),
                "give a number");
  }
  return value.to_number<double>();
}

bool set_field(SamplingOptions& o, std::string_view name, const Json& value) {
  for (const auto& [key, field] : fields) {
    if (key != name) continue;
    const double given = number(name, value);
    if (const auto* real = std::get_if<float SamplingOptions::*>(&field)) {
      o.** real = static_cast<float>(given);
    } else {
      o.*std::get<int32_t SamplingOptions::*>(field) =
          static_cast<int32_t>(std::max(-1e9, std::min(1e9, given)));
    }
    return true;
  }
  return false;
}

void set_bias(SamplingOptions& o, const Json& value) {
  if (!value.is_object()) {
    throw Error(Code::bad_request, "option \"logit_bias\" must be of type object",
                "give {\"token id\": number}");
  }
  for (const auto& [key, bias] : value.as_object()) {
    try {
      o.logit_bias[{std::stoi(std::string(key))}] = static_cast<float>(number("logit_bias", bias));
    } catch (const std::logic_error&) {
      throw Error(Code::bad_request,
                  fmt::format("option \"logit_bias\": '{}' is no token id", std::string(key)),
                  "give {\"token id\": number}");
    }
  }
}

std::vector<std::string> texts(std::string_view name, const Json& value) {
  const auto wrong = [name] {
    throw Error(Code::bad_request, fmt::format("option \"{}\" must be of type array of strings", name),
                "give an array of strings");
  };
  if (!value.is_array()) wrong();
  std::vector<std::string> list;
  for (const Json& text : value.as_array()) {
    if (!text.is_string()) wrong();
    list.emplace_back(text.as_string());
  }
  return list;
}

std::vector<SamplerStep> order_of(const Json& value) {
  std::vector<SamplerStep> order;
  for (const std::string& name : texts("samplers", value)) {
    const auto step = sampler_step(name);
    if (!step) {
      throw Error(Code::bad_request, fmt::format("option \"samplers\": there is no sampler '{}'", name),
                  fmt::format("use some of {}", sampler_step_names()));
    }
    order.push_back(*step);
  }
  return order;
}

}  // namespace

RequestOptions options_of(const SamplingChoice& choice) {
  RequestOptions options;
  SamplingOptions& o = options.sampling;
  for (const auto& [key, value] : choice.options.as_object()) {
    const std::string_view name(key.data(), key.size());
    if (value.is_null() || set_field(o, name, value)) continue;
    if (name == "seed") {
      const double seed = number(name, value);
      if (seed >= 0) o.seed = static_cast<uint64_t>(seed);  // negative: random, as in the reference
    } else if (name == "num_keep") {
      options.num_keep = static_cast<int32_t>(std::max(-1.0, std::min(1e9, number(name, value))));
    } else if (name == "ignore_eos") {
      options.ignore_eos = value.is_bool() && value.as_bool();
    } else if (name == "logit_bias") {
      set_bias(o, value);
    } else if (name == "samplers") {
      o.order = order_of(value);
    } else if (name == "dry_sequence_breakers") {
      options.dry_breakers = texts(name, value);
    } else {
      throw Error(Code::bad_request, fmt::format("unknown option \"{}\"", name), "see hearth run --help");
    }
  }
  if (!o.seed) o.seed = std::random_device{}();
  validate(o);
  return options;
}

std::shared_ptr<const TokenSet> BreakerTokens::of(const std::vector<std::string>& breakers) {
  for (const auto& [list, tokens] : known_) {
    if (list == breakers) return tokens;
  }
  auto set = std::make_shared<TokenSet>((tokenizer_.size() + 63) / 64);
  const auto add = [&set](size_t token) { (*set)[token / 64] |= uint64_t{1} << (token % 64); };
  for (size_t i = 0; i < tokenizer_.size(); ++i) {
    const TokenId token{static_cast<int32_t>(i)};
    const std::string_view piece = tokenizer_.piece(token);
    const bool breaks = tokenizer_.is_control(token) || tokenizer_.ends_generation(token) ||
                        std::any_of(breakers.begin(), breakers.end(), [piece](const std::string& b) {
                          return !b.empty() && piece.find(b) != std::string_view::npos;
                        });
    if (breaks) add(i);
  }
  for (const std::string& b : breakers) {
    const std::vector<TokenId> tokens = tokenizer_.encode("a" + b, {false, false});
    if (!b.empty() && !tokens.empty()) add(static_cast<size_t>(tokens.back().value));
  }
  constexpr size_t most = 8;
  if (known_.size() >= most) known_.clear();
  known_.emplace_back(breakers, set);
  return set;
}

}  // namespace hearth
