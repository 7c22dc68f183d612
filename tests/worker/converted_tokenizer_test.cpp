// Real vocabularies, written as their authors publish them (tokenizer.json), converted, and held to the ids
// that the reference states for them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <unordered_map>

#include "convert/huggingface.h"
#include "formats/output_file.h"
#include "support/data.h"
#include "support/publish.h"
#include "text/tokenizer.h"
#include "worker/open_model.h"

namespace hearth::test {
namespace {

// The steps that the published files of these vocabularies list.
json::object steps_of(std::string_view pre) {
  const json::object whole{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};
  if (pre == "gpt-2") return whole;
  json::array steps;
  if (pre == "starcoder") {
    steps = {json::object{{"type", "Digits"}, {"individual_digits", true}}, whole};
  } else {
    const std::string digits = pre == "llama-bpe" ? R"(\p{N}{1,3})" : R"(\p{N})";
    const std::string regex = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|)" + digits +
                              R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
    steps = {json::object{{"type", "Split"},
                          {"pattern", json::object{{"Regex", regex}}},
                          {"behavior", "Isolated"},
                          {"invert", false}},
             json::object{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}};
  }
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

// The merges that a SentencePiece vocabulary is published with: every way to cut a piece into two others, the
// pieces of the best scores first.
json::array merges_of(const Gguf& file) {
  const auto tokens = file.strings("tokenizer.ggml.tokens");
  const auto scores = file.floats("tokenizer.ggml.scores");
  const auto types = file.ints("tokenizer.ggml.token_type");
  std::unordered_map<std::string_view, size_t> ids;
  std::vector<size_t> order;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (types[i] != 1) continue;
    ids.emplace(tokens[i], i);
    order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  json::array merges;
  for (const size_t i : order) {
    for (size_t cut = 1; cut < tokens[i].size(); ++cut) {
      const auto left = tokens[i].substr(0, cut), right = tokens[i].substr(cut);
      if (ids.contains(left) && ids.contains(right))
        merges.push_back(json::array{json::string(left), json::string(right)});
    }
  }
  return merges;
}

json::object tokenizer_of(const Gguf& file) {
  const auto tokens = file.strings("tokenizer.ggml.tokens");
  const auto types = file.ints("tokenizer.ggml.token_type");
  const bool sentencepiece = file.string("tokenizer.ggml.model") == "llama";
  json::object vocab;
  json::array added, merges;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (types[i] == 5) continue;
    if (types[i] == 2 || types[i] == 3 || types[i] == 4)
      added.push_back(
          json::object{{"id", i}, {"content", json::string(tokens[i])}, {"special", types[i] != 4}});
    if (types[i] != 3 && types[i] != 4) vocab[tokens[i]] = i;
  }
  json::object out{{"added_tokens", added}};
  if (sentencepiece) {
    merges = merges_of(file);
    out["normalizer"] = json::object{{"type", "Prepend"}, {"prepend", "\u2581"}};
    out["model"] = json::object{{"type", "BPE"},
                                {"byte_fallback", true},
                                {"unk_token", "<unk>"},
                                {"vocab", vocab},
                                {"merges", merges}};
    return out;
  }
  for (const auto merge : file.strings("tokenizer.ggml.merges")) merges.push_back(json::string(merge));
  out["pre_tokenizer"] = steps_of(*file.string("tokenizer.ggml.pre"));
  out["model"] = json::object{{"type", "BPE"}, {"vocab", vocab}, {"merges", merges}};
  return out;
}

// The smallest llama around a vocabulary.
void publish_around(const Gguf& vocabulary, const Json& facts, const Folder& folder) {
  const size_t rows = vocabulary.strings("tokenizer.ggml.tokens").size();
  const json::object config{{"architectures", json::array{"LlamaForCausalLM"}},
                            {"num_hidden_layers", 1},
                            {"hidden_size", 2},
                            {"intermediate_size", 2},
                            {"num_attention_heads", 1},
                            {"vocab_size", rows},
                            {"max_position_embeddings", 8},
                            {"rms_norm_eps", 1e-5},
                            {"tie_word_embeddings", true}};
  std::map<std::string, Published> tensors;
  const auto put = [&](const std::string& name, std::vector<uint64_t> shape) {
    uint64_t bytes = 2;
    for (const uint64_t d : shape) bytes *= d;
    tensors[name] = {"BF16", std::move(shape), std::string(bytes, '\0')};
  };
  put("model.embed_tokens.weight", {rows, 2});
  put("model.norm.weight", {2});
  for (const char* norm : {"input_layernorm", "post_attention_layernorm"})
    put(fmt::format("model.layers.0.{}.weight", norm), {2});
  for (const char* matrix : {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                             "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"})
    put(fmt::format("model.layers.0.{}.weight", matrix), {2, 2});
  json::object settings{{"add_bos_token", facts.at("add_bos")}};
  const auto tokens = vocabulary.strings("tokenizer.ggml.tokens");
  for (const char* key : {"bos", "eos", "pad"}) {
    const auto id = facts.at("special").at(key).to_number<int64_t>();
    if (id >= 0) settings[fmt::format("{}_token", key)] = json::string(tokens[static_cast<size_t>(id)]);
  }
  write_text(folder / "config.json", json::serialize(config));
  write_text(folder / "tokenizer.json", json::serialize(tokenizer_of(vocabulary)));
  write_text(folder / "tokenizer_config.json", json::serialize(settings));
  write_text(folder / "model.safetensors", safetensors_of(tensors));
}

std::string bytes_of(const json::object& o, const std::string& key) {
  const Json* hex = o.if_contains(key + "_hex");
  return hex != nullptr ? from_hex(hex->as_string()) : std::string(o.at(key).as_string());
}

class ConvertedTokenizer : public testing::TestWithParam<const char*> {};

TEST_P(ConvertedTokenizer, CutsTextsAsTheReferenceDoes) {
  if (reference_dir().empty()) GTEST_SKIP() << no_reference();
  const std::string name = GetParam();
  const Folder folder("tokenizer");
  const auto packed = reference_dir() / "tokenizer" / "vocab" / (name + ".gguf.xz");
  const std::string unpack =
      fmt::format("xz -dc '{}' > '{}'", packed.string(), (folder / "vocab.gguf").string());
  ASSERT_EQ(std::system(unpack.c_str()), 0);
  const Json facts = read_json(reference_dir() / "tokenizer" / (name + ".json"));
  publish_around(Gguf::open(folder / "vocab.gguf"), facts, folder);
  {
    const ModelSource source = open_huggingface(folder.path);
    OutputFile file(folder / "out.gguf");
    write_model(source, file.fd(), {}, {});
    file.commit();
  }
  const auto tokenizer = Tokenizer::create(read_vocabulary(Gguf::open(folder / "out.gguf")));
  EXPECT_EQ(tokenizer->adds_bos(), facts.at("add_bos").as_bool());
  size_t same = 0, cases = 0;
  for (const Json& entry : facts.at("cases").as_array()) {
    const json::object& o = entry.as_object();
    const std::string text = bytes_of(o, "text");
    // Bytes that are no UTF-8 are this reader's own matter.
    if (o.contains("text_hex")) continue;
    std::vector<int32_t> wanted, found;
    for (const Json& id : o.at("ids").as_array()) wanted.push_back(id.to_number<int32_t>());
    for (const TokenId id :
         tokenizer->encode(text, {o.at("add_special").as_bool(), o.at("parse_special").as_bool()}))
      found.push_back(id.value);
    same += wanted == found ? 1U : 0U;
    EXPECT_EQ(wanted, found) << json::serialize(Json(json::string(text)));
    ++cases;
  }
  EXPECT_EQ(same, cases);
  EXPECT_GT(cases, 250U);
}

INSTANTIATE_TEST_SUITE_P(Vocabularies, ConvertedTokenizer,
                         testing::Values("llama-spm", "gpt-2", "llama-bpe", "qwen2", "starcoder"),
                         [](const auto& chosen) {
                           std::string name = chosen.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace hearth::test
