#include "convert/huggingface/family.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace hearth::huggingface {
namespace {

constexpr std::array families{
    Family{"LlamaForCausalLM", "llama", true},
    Family{"MistralForCausalLM", "llama", true},
    Family{"MixtralForCausalLM", "llama", true, false, true},
    Family{"Qwen2ForCausalLM", "qwen2"},
    Family{"Qwen3ForCausalLM", "qwen3", false, true},
};

[[noreturn]] void unsupported(const std::string& what, const std::string& remedy) {
  throw Error(Code::unsupported, what, remedy);
}

// Whether attention looks back over a window only: then the context is cut to the window, within which the
// results are the same.
std::optional<uint32_t> window_of(const Config& config) {
  const auto window = config.number("sliding_window");
  if (!window || *window == 0 || !config.boolean("use_sliding_window").value_or(true)) return std::nullopt;
  return window;
}

void check_variant(const Config& config) {
  const std::string act = config.text("hidden_act").value_or("silu");
  if (act != "silu")
    unsupported(fmt::format("the activation '{}' is not converted", act), "supported is silu");
  if (config.find("quantization_config") != nullptr) {
    unsupported("the safetensors are quantized already",
                "use the original in BF16 or F16, or a GGUF of the model");
  }
}

// Published under one of two names: before and after transformers 5.
std::optional<Config> scaling_of(const Config& config) {
  if (auto parameters = config.object("rope_parameters")) return parameters;
  return config.object("rope_scaling");
}

double require_real(const Config& config, const char* key) {
  const auto value = config.real(key);
  if (!value || !std::isfinite(*value) || *value <= 0) config.wrong(key, "a number above 0");
  return *value;
}

// Llama 3.1: slow waves are stretched by `factor`, fast ones kept, a ramp between (Llama team 2024).
std::vector<float> llama3_factors(const Config& s, double base, uint32_t dims) {
  const double factor = require_real(s, "factor"), low = require_real(s, "low_freq_factor"),
               high = require_real(s, "high_freq_factor"),
               context = require_real(s, "original_max_position_embeddings");
  if (high <= low) s.wrong("high_freq_factor", "above low_freq_factor");
  std::vector<float> factors;
  for (uint32_t i = 0; i < dims; i += 2) {
    const double wave = 2 * std::numbers::pi * std::pow(base, static_cast<double>(i) / dims);
    double divisor = 1;
    if (wave > context / low) {
      divisor = factor;
    } else if (wave >= context / high) {
      const double smooth = (context / wave - low) / (high - low);
      divisor = 1 / ((1 - smooth) / factor + smooth);
    }
    factors.push_back(static_cast<float>(divisor));
  }
  return factors;
}

void put_yarn(const Config& s, const std::string& at, GgufWriter& head) {
  const double factor = require_real(s, "factor");
  head.put(at + "scaling.type", std::string_view("yarn"));
  head.put(at + "scaling.factor", factor);
  if (const auto n = s.number("original_max_position_embeddings"))
    head.put(at + "scaling.original_context_length", GgufType::u32, *n);
  if (const auto x = s.real("beta_fast")) head.put(at + "scaling.yarn_beta_fast", *x);
  if (const auto x = s.real("beta_slow")) head.put(at + "scaling.yarn_beta_slow", *x);
  // Published as the whole factor of the attention scores' magnitude; in GGUF beside the usual one.
  const auto attention = s.real("attention_factor");
  if (attention && factor > 1)
    head.put(at + "scaling.attn_factor", *attention / (1 + 0.1 * std::log(factor)));
  if (s.find("mscale") != nullptr || s.find("mscale_all_dim") != nullptr) {
    unsupported("rope scaling with mscale is not converted",
                "use a GGUF of the model, or one of another family");
  }
}

}  // namespace

const Family& find_family(const Config& config) {
  std::vector<std::string_view> known;
  known.reserve(families.size());
  for (const Family& f : families) known.push_back(f.published);
  const Json* list = config.find("architectures");
  const bool named = list != nullptr && list->is_array() && list->get_array().size() == 1 &&
                     list->get_array()[0].is_string();
  const std::string name = named ? std::string(list->get_array()[0].get_string()) : "(none)";
  for (const Family& f : families) {
    if (f.published == name) return f;
  }
  unsupported(fmt::format("models of the architecture '{}' are not converted", name.substr(0, 80)),
              fmt::format("supported are {}; for others use a GGUF file", fmt::join(known, ", ")));
}

Sizes read_sizes(const Config& config, const Family& family, std::vector<std::string>& notes) {
  check_variant(config);
  Sizes s;
  s.layers = config.require("num_hidden_layers");
  s.width = config.require("hidden_size");
  s.ffn = config.require("intermediate_size");
  s.heads = config.require("num_attention_heads");
  s.kv_heads = config.number("num_key_value_heads").value_or(s.heads);
  s.head_size = config.number("head_dim").value_or(s.width / s.heads);
  s.vocabulary = config.require("vocab_size");
  s.context = config.require("max_position_embeddings");
  s.eps = static_cast<float>(require_real(config, "rms_norm_eps"));
  s.tied = config.boolean("tie_word_embeddings").value_or(false);
  constexpr uint32_t most_layers = 4096, most_heads = 4096, most_head_size = 4096;
  if (s.layers > most_layers) config.wrong("num_hidden_layers", "a possible number");
  if (s.heads > most_heads) config.wrong("num_attention_heads", "a possible number");
  if (s.kv_heads == 0 || s.heads % s.kv_heads != 0)
    config.wrong("num_key_value_heads", "a divisor of the heads");
  if (s.head_size == 0 || s.head_size % 2 != 0 || s.head_size > most_head_size)
    config.wrong("head_dim", "an even size");
  if (family.experts) {
    s.experts = config.require("num_local_experts");
    s.experts_used = config.require("num_experts_per_tok");
    if (s.experts_used > s.experts || s.experts > most_heads) config.wrong("num_experts_per_tok", "possible");
  }
  if (const auto window = window_of(config); window && *window < s.context) {
    notes.push_back(fmt::format(
        "the model attends to {} tokens back only: its context of {} is cut to that, within which "
        "the results are the same",
        *window, s.context));
    s.context = *window;
  }
  return s;
}

void put_sizes(const Sizes& s, const Family& family, GgufWriter& head) {
  const std::string at = std::string(family.architecture) + ".";
  const auto number = [&](const char* key, uint64_t value) { head.put(at + key, GgufType::u32, value); };
  number("block_count", s.layers);
  number("context_length", s.context);
  number("embedding_length", s.width);
  number("feed_forward_length", s.ffn);
  number("vocab_size", s.vocabulary);
  number("attention.head_count", s.heads);
  number("attention.head_count_kv", s.kv_heads);
  number("attention.key_length", s.head_size);
  number("attention.value_length", s.head_size);
  head.put(at + "attention.layer_norm_rms_epsilon", static_cast<double>(s.eps));
  number("rope.dimension_count", s.head_size);
  if (s.experts == 0) return;
  number("expert_count", s.experts);
  number("expert_used_count", s.experts_used);
}

std::vector<float> put_rope(const Config& config, const Sizes& sizes, const Family& family,
                            GgufWriter& head) {
  const std::string at = std::string(family.architecture) + ".rope.";
  const auto scaling = scaling_of(config);
  const Config& place = scaling && scaling->find("rope_theta") != nullptr ? *scaling : config;
  const double base = place.find("rope_theta") != nullptr ? require_real(place, "rope_theta") : 10000;
  head.put(at + "freq_base", base);
  if (!scaling) return {};
  const std::string type = scaling->text("rope_type").value_or(scaling->text("type").value_or("default"));
  if (scaling->real("partial_rotary_factor").value_or(1) != 1 ||
      config.real("partial_rotary_factor").value_or(1) != 1)
    unsupported("partial rotary embedding is not converted", "use a GGUF of the model");
  if (type == "default") return {};
  if (type == "llama3") {
    // The tensor that carries the factors is read for the llama architecture alone.
    if (family.architecture != "llama")
      unsupported(
          fmt::format("rope scaling 'llama3' in a model of the family {} is not converted", family.published),
          "use a GGUF of the model");
    return llama3_factors(*scaling, base, sizes.head_size);
  }
  if (type == "linear") {
    head.put(at + "scaling.type", std::string_view("linear"));
    head.put(at + "scaling.factor", require_real(*scaling, "factor"));
    return {};
  }
  if (type == "yarn") {
    put_yarn(*scaling, at, head);
    return {};
  }
  unsupported(fmt::format("rope scaling '{}' is not converted", type.substr(0, 40)),
              "supported are default, linear, llama3 and yarn; otherwise use a GGUF of the model");
}

}  // namespace hearth::huggingface
