#include "convert/mixture.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <vector>

#include "base/error.h"

namespace hearth {
namespace {

constexpr MixtureException q2_k[] = {{MatrixPart::attn_v, LayerRange::everywhere, DType::q4_k, true},
                                     {MatrixPart::attn_v, LayerRange::everywhere, DType::q3_k},
                                     {MatrixPart::attn_output, LayerRange::everywhere, DType::q3_k},
                                     {MatrixPart::ffn_down, LayerRange::everywhere, DType::q3_k}};
constexpr MixtureException q3_k_m[] = {{MatrixPart::attn_v, LayerRange::first_two, DType::q5_k},
                                       {MatrixPart::attn_v, LayerRange::everywhere, DType::q4_k},
                                       {MatrixPart::attn_qkv, LayerRange::everywhere, DType::q4_k},
                                       {MatrixPart::attn_output, LayerRange::everywhere, DType::q4_k},
                                       {MatrixPart::ffn_down, LayerRange::first_sixteenth, DType::q5_k},
                                       {MatrixPart::ffn_down, LayerRange::everywhere, DType::q4_k}};
constexpr MixtureException q3_k_l[] = {{MatrixPart::attn_v, LayerRange::everywhere, DType::q5_k},
                                       {MatrixPart::attn_qkv, LayerRange::everywhere, DType::q4_k},
                                       {MatrixPart::attn_output, LayerRange::everywhere, DType::q5_k},
                                       {MatrixPart::ffn_down, LayerRange::everywhere, DType::q5_k}};
constexpr MixtureException q4_k_s[] = {{MatrixPart::attn_v, LayerRange::first_four, DType::q5_k},
                                       {MatrixPart::ffn_down, LayerRange::first_eighth, DType::q5_k}};
constexpr MixtureException q4_k_m[] = {{MatrixPart::attn_v, LayerRange::spread, DType::q6_k},
                                       {MatrixPart::attn_qkv, LayerRange::everywhere, DType::q5_k},
                                       {MatrixPart::ffn_down, LayerRange::spread, DType::q6_k}};
constexpr MixtureException q5_k_m[] = {{MatrixPart::attn_v, LayerRange::spread, DType::q6_k},
                                       {MatrixPart::attn_qkv, LayerRange::everywhere, DType::q6_k},
                                       {MatrixPart::ffn_down, LayerRange::spread, DType::q6_k}};
constexpr MixtureException iq4[] = {{MatrixPart::attn_v, LayerRange::everywhere, DType::q5_k, true},
                                    {MatrixPart::ffn_down, LayerRange::first_eighth, DType::q5_k}};

constexpr std::array mixtures{
    Mixture{"F32", 0, DType::f32, DType::f32, {}},
    Mixture{"F16", 1, DType::f16, DType::f16, {}},
    Mixture{"BF16", 32, DType::bf16, DType::bf16, {}},
    Mixture{"Q8_0", 7, DType::q8_0, DType::q8_0, {}},
    Mixture{"Q6_K", 18, DType::q6_k, DType::q6_k, {}},
    Mixture{"Q5_K_M", 17, DType::q5_k, DType::q6_k, q5_k_m},
    Mixture{"Q5_K_S", 16, DType::q5_k, DType::q6_k, {}},
    Mixture{"Q5_1", 9, DType::q5_1, DType::q6_k, {}},
    Mixture{"Q5_0", 8, DType::q5_0, DType::q6_k, {}},
    Mixture{"Q4_K_M", 15, DType::q4_k, DType::q6_k, q4_k_m},
    Mixture{"Q4_K_S", 14, DType::q4_k, DType::q6_k, q4_k_s},
    Mixture{"Q4_1", 3, DType::q4_1, DType::q6_k, {}},
    Mixture{"Q4_0", 2, DType::q4_0, DType::q6_k, {}},
    Mixture{"IQ4_NL", 25, DType::iq4_nl, DType::q6_k, iq4},
    Mixture{"IQ4_XS", 30, DType::iq4_xs, DType::q6_k, iq4},
    Mixture{"MXFP4", 38, DType::mxfp4, DType::q8_0, {}},
    Mixture{"Q3_K_L", 13, DType::q3_k, DType::q6_k, q3_k_l},
    Mixture{"Q3_K_M", 12, DType::q3_k, DType::q6_k, q3_k_m},
    Mixture{"Q3_K_S", 11, DType::q3_k, DType::q6_k, {}},
    Mixture{"Q2_K", 10, DType::q2_k, DType::q6_k, q2_k},
};

std::string upper_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

// "blk.7.attn_v.weight" → 7 and "attn_v".
struct Place {
  uint32_t layer = 0;
  std::string_view part;
};
Place place_of(std::string_view tensor) {
  Place place;
  if (!tensor.starts_with("blk.")) return place;
  const char* begin = tensor.data() + 4;
  const auto [end, failure] = std::from_chars(begin, tensor.data() + tensor.size(), place.layer);
  if (failure != std::errc{} || end == tensor.data() + tensor.size() || *end != '.') return {};
  const auto rest = static_cast<size_t>(end + 1 - tensor.data());
  place.part = tensor.substr(rest, tensor.find('.', rest) - rest);
  return place;
}

MatrixPart part_of(std::string_view name) {
  if (name == "attn_v") return MatrixPart::attn_v;
  if (name == "attn_k") return MatrixPart::attn_k;
  if (name == "attn_qkv") return MatrixPart::attn_qkv;
  if (name == "attn_output") return MatrixPart::attn_output;
  if (name == "ffn_down" || name == "ffn_down_exps") return MatrixPart::ffn_down;
  return MatrixPart::other;
}

bool holds(LayerRange where, uint32_t layer, uint32_t layers) {
  switch (where) {
    case LayerRange::everywhere: return true;
    case LayerRange::spread:
      return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
    case LayerRange::first_eighth: return layer < layers / 8;
    case LayerRange::first_sixteenth: return layer < layers / 16;
    case LayerRange::first_four: return layer < 4;
    case LayerRange::first_two: return layer < 2;
  }
  return false;
}

// Eight experts share few attention weights: these are kept finer, at hardly any cost in size.
DType of_eight_experts(MatrixPart part, DType type) {
  if (part == MatrixPart::attn_v || part == MatrixPart::attn_k) return DType::q8_0;
  if (part == MatrixPart::attn_output && type_info(type).block_bytes * 8 < 5 * type_info(type).block_values)
    return DType::q5_k;
  return type;
}

DType of_layer(const Mixture& m, const MixtureFacts& facts, std::string_view tensor) {
  const Place place = place_of(tensor);
  const MatrixPart part = part_of(place.part);
  const bool shared = facts.heads >= 4 * std::max(facts.kv_heads, 1U);
  DType type = m.most;
  for (const MixtureException& e : m.exceptions) {
    if (e.part != part || (e.shared_heads && !shared) || !holds(e.where, place.layer, facts.layers)) continue;
    type = e.type;
    break;
  }
  if (facts.experts == 8) type = of_eight_experts(part, type);
  // In models of 70 billion parameters eight query heads share each value head.
  if (facts.layers == 80 && part == MatrixPart::attn_v && (type == DType::q3_k || type == DType::q4_k))
    type = DType::q5_k;
  return type;
}

// A type of similar size with blocks of 32, for rows that blocks of 256 do not divide.
DType with_small_blocks(DType type) {
  switch (type) {
    case DType::q2_k:
    case DType::q3_k:
    case DType::iq4_xs: return DType::iq4_nl;
    case DType::q4_k: return DType::q5_0;
    case DType::q5_k: return DType::q5_1;
    case DType::q6_k: return DType::q8_0;
    default: return type;
  }
}

}  // namespace

std::span<const Mixture> known_mixtures() { return mixtures; }

const Mixture& find_mixture(std::string_view name) {
  std::string wanted = upper_case(name);
  if (wanted == "Q3_K" || wanted == "Q4_K" || wanted == "Q5_K") wanted += "_M";
  std::vector<std::string_view> names;
  for (const Mixture& m : mixtures) {
    if (m.name == wanted) return m;
    names.push_back(m.name);
  }
  throw Error(Code::bad_request, fmt::format("unknown quantization '{}'", name),
              fmt::format("known: {}", fmt::join(names, ", ")));
}

MixtureFacts mixture_facts(const Gguf& file) {
  MixtureFacts facts;
  const std::string prefix = std::string(file.string("general.architecture").value_or("")) + ".";
  const auto number = [&](const char* key, uint32_t& into) {
    const MetadataValue* value = file.find(prefix + key);
    if (value == nullptr) return;
    if (const auto* n = std::get_if<uint64_t>(&value->value); n != nullptr && *n < 1U << 20)
      into = static_cast<uint32_t>(*n);
  };
  number("block_count", facts.layers);
  number("attention.head_count", facts.heads);
  facts.kv_heads = facts.heads;
  number("attention.head_count_kv", facts.kv_heads);
  number("expert_count", facts.experts);
  facts.tied = file.tensor("output.weight") == nullptr;
  return facts;
}

bool is_quantizable(std::string_view tensor, uint32_t dimensions) {
  if (dimensions < 2 || !tensor.ends_with(".weight")) return false;
  const auto has = [&](std::string_view word) { return tensor.find(word) != std::string_view::npos; };
  return !has("_norm.") && !has("ffn_gate_inp") && !has("position_embd") && !has("token_types") &&
         !has("ssm_conv1d") && !has("altup") && !has("laurel") && !has("cls.") && !has("rope_");
}

DType type_for(const Mixture& m, const MixtureFacts& facts, std::string_view tensor, uint64_t cols) {
  DType type = m.most;
  if (m.quantized()) {
    const bool output = tensor == "output.weight" || (tensor == "token_embd.weight" && facts.tied);
    type = output ? m.output : of_layer(m, facts, tensor);
  }
  if (cols % type_info(type).block_values != 0) type = with_small_blocks(type);
  return cols % type_info(type).block_values != 0 ? DType::f16 : type;
}

}  // namespace hearth
