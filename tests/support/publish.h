#pragma once

// The inverse of the conversion under test: a GGUF model as its authors would have published it. Used by
// tests of layers that know formats; therefore a header.
#include <fmt/format.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "formats/gguf.h"

namespace hearth::test {

// A folder of its own that goes with the test.
class Folder {
 public:
  explicit Folder(const std::string& name)
      : path(std::filesystem::temp_directory_path() / fmt::format("hearth-{}-{}", name, ::getpid())) {
    std::filesystem::remove_all(path);
    std::filesystem::create_directories(path);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path); }
  std::filesystem::path operator/(const std::string& name) const { return path / name; }

  const std::filesystem::path path;
};

inline void write_text(const std::filesystem::path& path, std::string_view text) {
  std::ofstream(path, std::ios::binary).write(text.data(), static_cast<std::streamsize>(text.size()));
}

// A tensor as it goes into a safetensors file.
struct Published {
  std::string dtype;
  std::vector<uint64_t> shape;
  std::string bytes;
};

inline std::string safetensors_of(const std::map<std::string, Published>& tensors) {
  json::object header;
  std::string data;
  for (const auto& [name, t] : tensors) {
    header[name] = json::object{{"dtype", t.dtype},
                                {"shape", json::value_from(t.shape)},
                                {"data_offsets", json::array{data.size(), data.size() + t.bytes.size()}}};
    data += t.bytes;
  }
  header["__metadata__"] = json::object{{"format", "pt"}};
  const std::string text = json::serialize(header);
  const uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + text + data;
}

// What the published name of a GGUF tensor is; stacks of experts are cut before.
inline std::string published_name(std::string name) {
  static const std::pair<const char*, const char*> parts[] = {{"attn_norm", "input_layernorm"},
                                                              {"attn_q_norm", "self_attn.q_norm"},
                                                              {"attn_k_norm", "self_attn.k_norm"},
                                                              {"attn_q", "self_attn.q_proj"},
                                                              {"attn_k", "self_attn.k_proj"},
                                                              {"attn_v", "self_attn.v_proj"},
                                                              {"attn_output", "self_attn.o_proj"},
                                                              {"ffn_norm", "post_attention_layernorm"},
                                                              {"ffn_gate_inp", "block_sparse_moe.gate"},
                                                              {"ffn_gate", "mlp.gate_proj"},
                                                              {"ffn_up", "mlp.up_proj"},
                                                              {"ffn_down", "mlp.down_proj"}};
  if (name == "token_embd.weight") return "model.embed_tokens.weight";
  if (name == "output_norm.weight") return "model.norm.weight";
  if (name == "output.weight") return "lm_head.weight";
  const size_t layer_end = name.find('.', 4), part_end = name.find('.', layer_end + 1);
  const std::string part = name.substr(layer_end + 1, part_end - layer_end - 1);
  for (const auto& [ours, theirs] : parts) {
    if (part == ours)
      return fmt::format("model.layers.{}.{}{}", name.substr(4, layer_end - 4), theirs,
                         name.substr(part_end));
  }
  return name;
}

// Rows in halves of a head, as published llamas have them: [head][part][pair] where GGUF has
// [head][pair][part].
inline std::string in_halves(std::string_view bytes, uint64_t heads, uint64_t head_size) {
  const uint64_t row = bytes.size() / (heads * head_size);
  std::string out;
  for (uint64_t h = 0; h < heads; ++h) {
    for (uint64_t part = 0; part < 2; ++part) {
      for (uint64_t pair = 0; pair < head_size / 2; ++pair)
        out += bytes.substr((h * head_size + 2 * pair + part) * row, row);
    }
  }
  return out;
}

// The tensors of a model by their published names.
inline std::map<std::string, Published> published_tensors(const Gguf& model) {
  const std::string architecture(*model.string("general.architecture"));
  const uint64_t heads = *model.u64(architecture + ".attention.head_count");
  const uint64_t kv_heads = *model.u64(architecture + ".attention.head_count_kv");
  std::map<std::string, Published> out;
  for (const TensorInfo& t : model.tensors()) {
    if (t.name == "rope_freqs.weight") continue;
    std::string bytes(reinterpret_cast<const char*>(t.data.data()), t.data.size());
    const std::string name(t.name), dtype(type_info(t.type).name);
    std::vector<uint64_t> shape;
    for (uint32_t i = std::min(t.n_dims, 2U); i-- > 0;) shape.push_back(t.dims[i]);
    const bool q = name.find("attn_q.") != std::string::npos, k = name.find("attn_k.") != std::string::npos;
    if (architecture == "llama" && (q || k)) {
      const uint64_t own = q ? heads : kv_heads;
      bytes = in_halves(bytes, own, shape[0] / own);
    }
    if (t.n_dims < 3) {
      out[published_name(name)] = {dtype, shape, bytes};
      continue;
    }
    const std::string which = name.find("gate") != std::string::npos   ? "w1"
                              : name.find("down") != std::string::npos ? "w2"
                                                                       : "w3";
    const size_t each = bytes.size() / t.dims[2];
    for (uint64_t e = 0; e < t.dims[2]; ++e) {
      out[fmt::format("model.layers.{}.block_sparse_moe.experts.{}.{}.weight",
                      name.substr(4, name.find('.', 4) - 4), e, which)] = {dtype, shape,
                                                                           bytes.substr(e * each, each)};
    }
  }
  return out;
}

// config.json of a model; the class as published.
inline json::object published_config(const Gguf& model, const std::string& published) {
  const std::string at = std::string(*model.string("general.architecture")) + ".";
  const auto number = [&](const char* key) { return *model.u64(at + key); };
  json::object c{{"architectures", json::array{published}},
                 {"hidden_act", "silu"},
                 {"num_hidden_layers", number("block_count")},
                 {"hidden_size", number("embedding_length")},
                 {"intermediate_size", number("feed_forward_length")},
                 {"num_attention_heads", number("attention.head_count")},
                 {"num_key_value_heads", number("attention.head_count_kv")},
                 {"head_dim", number("rope.dimension_count")},
                 {"vocab_size", number("vocab_size")},
                 {"max_position_embeddings", number("context_length")},
                 {"rms_norm_eps", *model.f64(at + "attention.layer_norm_rms_epsilon")},
                 {"rope_theta", *model.f64(at + "rope.freq_base")},
                 {"tie_word_embeddings", model.tensor("output.weight") == nullptr},
                 {"bos_token_id", 1},
                 {"eos_token_id", 2}};
  if (const auto experts = model.u64(at + "expert_count")) {
    c["num_local_experts"] = *experts;
    c["num_experts_per_tok"] = number("expert_used_count");
  }
  return c;
}

// A byte-level BPE of at most `rows` tokens: three special tokens, the bytes, one merge.
inline json::object published_tokenizer() {
  json::object vocab;
  const char* specials[] = {"<unk>", "<s>", "</s>"};
  json::array added;
  for (int64_t i = 0; i < 3; ++i)
    added.push_back(json::object{{"id", i}, {"content", specials[i]}, {"special", true}});
  added.push_back(json::object{{"id", 3}, {"content", "<tool>"}, {"special", false}});
  uint32_t moved = 256;
  int64_t id = 4;
  for (uint32_t b = 0; b < 256; ++b) {
    const bool visible = (b > 32 && b < 127) || (b > 160 && b != 173);
    const uint32_t point = visible ? b : moved++;
    const std::string letter = point < 128 ? std::string(1, static_cast<char>(point))
                                           : std::string{static_cast<char>(0xc0 | (point >> 6)),
                                                         static_cast<char>(0x80 | (point & 63))};
    vocab[letter] = id++;
  }
  vocab["th"] = id++;
  vocab["the"] = id++;
  return {{"added_tokens", added},
          {"pre_tokenizer",
           json::object{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
          {"model",
           json::object{
               {"type", "BPE"}, {"vocab", vocab}, {"merges", json::array{"t h", json::array{"th", "e"}}}}}};
}

inline void publish(const Gguf& model, const Folder& folder, const json::object& config) {
  write_text(folder / "config.json", json::serialize(config));
  write_text(folder / "tokenizer.json", json::serialize(published_tokenizer()));
  write_text(folder / "tokenizer_config.json",
             R"({"bos_token":"<s>","eos_token":{"content":"</s>"},"chat_template":"{{ messages }}"})");
  write_text(folder / "model.safetensors", safetensors_of(published_tensors(model)));
}

}  // namespace hearth::test
