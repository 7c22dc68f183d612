#include "convert/huggingface.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "base/error.h"
#include "convert/huggingface/tokenizer.h"
#include "convert/synth.h"
#include "formats/output_file.h"
#include "support/data.h"
#include "support/publish.h"

namespace hearth {
namespace {

using test::Folder;

std::vector<std::byte> model(const std::string& name) {
  return build_recipe(test::read_json(test::case_file("logits/" + name + ".json")).at("gguf"));
}

// The GGUF that the folder becomes.
Gguf converted(const Folder& folder) {
  const ModelSource source = open_huggingface(folder.path, "test");
  OutputFile file(folder / "out.gguf");
  write_model(source, file.fd(), {nullptr, 2, nullptr, false}, {});
  file.commit();
  return Gguf::open(folder / "out.gguf");
}

void expect_refused(const Folder& folder, Code code, const std::string& word) {
  try {
    converted(folder);
    ADD_FAILURE() << "converted, expected: " << word;
  } catch (const Error& e) {
    EXPECT_EQ(e.code, code) << e.what();
    EXPECT_NE((e.message + e.remedy).find(word), std::string::npos) << e.what();
  }
}

void expect_same_tensors(const Gguf& a, const Gguf& b) {
  EXPECT_EQ(a.tensors().size(), b.tensors().size());
  for (const TensorInfo& t : a.tensors()) {
    const TensorInfo* other = b.tensor(t.name);
    ASSERT_NE(other, nullptr) << t.name;
    EXPECT_EQ(other->type, t.type) << t.name;
    EXPECT_EQ(other->dims, t.dims) << t.name;
    if (t.name == "rope_freqs.weight") {
      for (size_t i = 0; i < t.data.size() / 4; ++i) {
        float x = 0, y = 0;
        std::memcpy(&x, t.data.data() + 4 * i, 4);
        std::memcpy(&y, other->data.data() + 4 * i, 4);
        EXPECT_NEAR(x, y, 2e-6F) << i;
      }
      continue;
    }
    EXPECT_TRUE(std::equal(t.data.begin(), t.data.end(), other->data.begin(), other->data.end())) << t.name;
  }
}

// Every metadata key of the model's own is there again; more may be.
void expect_same_metadata(const Gguf& a, const Gguf& b) {
  for (const MetadataEntry& e : a.metadata()) {
    if (e.key == "general.name") continue;
    ASSERT_NE(b.find(e.key), nullptr) << e.key;
    EXPECT_EQ(summary(*b.find(e.key)), summary(e.value)) << e.key;
  }
}

struct Case {
  const char *name, *published;
  const char* scaling = nullptr;
};

TEST(Huggingface, PublishedModelsComeBackAsTheyWere) {
  const Case cases[] = {
      {"llama", "LlamaForCausalLM"},
      {"llama-bias", "LlamaForCausalLM"},
      {"llama-mqa", "MistralForCausalLM"},
      {"mixtral", "MixtralForCausalLM"},
      {"qwen2", "Qwen2ForCausalLM"},
      {"qwen3", "Qwen3ForCausalLM"},
      {"llama-linear", "LlamaForCausalLM", R"({"type":"linear","factor":4.0})"},
      {"llama-yarn", "LlamaForCausalLM",
       R"({"rope_type":"yarn","factor":8.0,"original_max_position_embeddings":64})"},
      {"llama3-rope", "LlamaForCausalLM",
       R"({"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,)"
       R"("original_max_position_embeddings":256})"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const auto image = model(c.name);
    const Gguf original = Gguf::parse(image, c.name);
    const Folder folder("publish");
    json::object config = test::published_config(original, c.published);
    if (c.scaling != nullptr) config["rope_scaling"] = json::parse(c.scaling);
    test::publish(original, folder, config);
    const Gguf out = converted(folder);
    expect_same_tensors(original, out);
    expect_same_metadata(original, out);
    EXPECT_EQ(out.string("general.name"), "test");
    EXPECT_EQ(out.u64("general.file_type"), 1U);
  }
}

TEST(Huggingface, TheTokenizerIsWhole) {
  const auto image = model("qwen2");
  const Gguf original = Gguf::parse(image, "qwen2");
  const Folder folder("publish");
  test::publish(original, folder, test::published_config(original, "Qwen2ForCausalLM"));
  test::write_text(folder / "generation_config.json", R"({"eos_token_id":[2,3]})");
  const Gguf out = converted(folder);
  EXPECT_EQ(out.string("tokenizer.ggml.model"), "gpt2");
  EXPECT_EQ(out.string("tokenizer.ggml.pre"), "gpt-2");
  const auto tokens = out.strings("tokenizer.ggml.tokens");
  const auto types = out.ints("tokenizer.ggml.token_type");
  ASSERT_EQ(tokens.size(), 512U);
  ASSERT_EQ(types.size(), 512U);
  EXPECT_EQ(tokens[1], "<s>");
  EXPECT_EQ(types[1], 3);
  EXPECT_EQ(tokens[3], "<tool>");
  EXPECT_EQ(types[3], 4);
  EXPECT_EQ(tokens[261], "the");
  EXPECT_EQ(types[261], 1);
  EXPECT_EQ(tokens[262], "[PAD262]");
  EXPECT_EQ(types[262], 5);
  EXPECT_EQ(out.strings("tokenizer.ggml.merges"), (std::vector<std::string_view>{"t h", "th e"}));
  EXPECT_EQ(out.u64("tokenizer.ggml.bos_token_id"), 1U);
  EXPECT_EQ(out.u64("tokenizer.ggml.eos_token_id"), 2U);
  EXPECT_EQ(out.ints("tokenizer.ggml.eos_token_ids"), (std::vector<int32_t>{2, 3}));
  EXPECT_EQ(out.boolean("tokenizer.ggml.add_bos_token"), false);
  EXPECT_EQ(out.string("tokenizer.chat_template"), "{{ messages }}");
  // What puts <s> in front says so in the post-processor; a template in a file of its own goes first.
  json::object tokenizer = test::published_tokenizer();
  tokenizer["post_processor"] = json::parse(
      R"({"type":"Sequence","processors":[{"type":"ByteLevel"},{"type":"TemplateProcessing","single":[)"
      R"({"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}]}]})");
  test::write_text(folder / "tokenizer.json", json::serialize(tokenizer));
  test::write_text(folder / "chat_template.jinja", "{{ 1 }}");
  const Gguf again = converted(folder);
  EXPECT_EQ(again.boolean("tokenizer.ggml.add_bos_token"), true);
  EXPECT_EQ(again.boolean("tokenizer.ggml.add_eos_token"), false);
  EXPECT_EQ(again.string("tokenizer.chat_template"), "{{ 1 }}");
}

TEST(Huggingface, SentencePieceAsBpeGetsScoresFromItsMerges) {
  const auto image = model("llama");
  const Gguf original = Gguf::parse(image, "llama");
  const Folder folder("publish");
  test::publish(original, folder, test::published_config(original, "LlamaForCausalLM"));
  json::object vocab{{"<unk>", 0}, {"<s>", 1}, {"</s>", 2}};
  for (int64_t b = 0; b < 256; ++b) vocab[fmt::format("<0x{:02X}>", b)] = 3 + b;
  int64_t id = 259;
  for (const char* piece : {"\u2581t", "he", "\u2581the", "\u2581", "t", "h", "e"}) vocab[piece] = id++;
  test::write_text(
      folder / "tokenizer.json",
      json::serialize(json::object{
          {"added_tokens",
           json::parse(
               R"([{"id":0,"content":"<unk>","special":true},{"id":1,"content":"<s>","special":true}])")},
          {"normalizer",
           json::parse(
               R"({"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]})")},
          {"model", json::object{{"type", "BPE"},
                                 {"byte_fallback", true},
                                 {"unk_token", "<unk>"},
                                 {"vocab", vocab},
                                 {"merges", json::array{"\u2581 t", "h e", "\u2581t he"}}}}}));
  const Gguf out = converted(folder);
  EXPECT_EQ(out.string("tokenizer.ggml.model"), "llama");
  EXPECT_EQ(out.boolean("tokenizer.ggml.add_space_prefix"), true);
  const auto types = out.ints("tokenizer.ggml.token_type");
  const auto scores = out.floats("tokenizer.ggml.scores");
  EXPECT_EQ(types[0], 2);
  EXPECT_EQ(types[1], 3);
  EXPECT_EQ(types[3], 6);
  EXPECT_EQ(types[259], 1);
  EXPECT_GT(scores[259], scores[260]);
  EXPECT_GT(scores[260], scores[261]);
  EXPECT_GT(scores[261], scores[262]);
  EXPECT_EQ(out.find("tokenizer.ggml.merges"), nullptr);
}

TEST(Huggingface, KnowsPreTokenizersByTheirExpressions) {
  const auto split = [](const char* regex) {
    return json::object{{"type", "Split"},
                        {"pattern", json::object{{"Regex", regex}}},
                        {"behavior", "Isolated"},
                        {"invert", false}};
  };
  const json::object bytes{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  const auto sequence = [&](json::array steps) {
    return json::object{{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
  };
  const char* llama3 =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  const char* qwen2 =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  const char* tekken =
      R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  EXPECT_EQ(huggingface::recognise_pretokenizer(sequence({split(llama3), bytes})), "llama-bpe");
  EXPECT_EQ(huggingface::recognise_pretokenizer(sequence({split(qwen2), bytes})), "qwen2");
  EXPECT_EQ(huggingface::recognise_pretokenizer(sequence({split(tekken), bytes})), "tekken");
  EXPECT_EQ(huggingface::recognise_pretokenizer(sequence(
                {json::object{{"type", "Digits"}, {"individual_digits", true}},
                 json::object{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}})),
            "smollm");
  EXPECT_THROW(huggingface::recognise_pretokenizer(sequence({split("[a-z]+"), bytes})), Error);
  EXPECT_THROW(huggingface::recognise_pretokenizer(Json()), Error);
  EXPECT_THROW(huggingface::recognise_pretokenizer(json::object{{"type", "Metaspace"}}), Error);
}

TEST(Huggingface, SaysWhatItDoesNotConvert) {
  const auto image = model("llama");
  const Gguf original = Gguf::parse(image, "llama");
  const json::object config = test::published_config(original, "LlamaForCausalLM");
  const auto with = [&](const char* key, Json value, Code code, const std::string& word) {
    const Folder folder("publish");
    json::object changed = config;
    changed[key] = std::move(value);
    test::publish(original, folder, changed);
    expect_refused(folder, code, word);
  };
  with("architectures", json::array{"PhiForCausalLM"}, Code::unsupported, "Qwen3ForCausalLM");
  with("architectures", nullptr, Code::unsupported, "LlamaForCausalLM");
  with("hidden_act", "gelu", Code::unsupported, "gelu");
  with("quantization_config", json::object{{"quant_method", "gptq"}}, Code::unsupported, "quantized");
  with("rope_scaling", json::object{{"type", "longrope"}}, Code::unsupported, "longrope");
  with("rope_scaling", json::object{{"type", "linear"}, {"factor", -1}}, Code::corrupt_file, "factor");
  with("hidden_size", 128, Code::corrupt_file, "expected");
  with("hidden_size", -1, Code::corrupt_file, "hidden_size");
  with("hidden_size", "256", Code::corrupt_file, "hidden_size");
  with("hidden_size", 1e300, Code::corrupt_file, "hidden_size");
  with("num_hidden_layers", 3, Code::corrupt_file, "layers.2");
  with("num_hidden_layers", 1, Code::unsupported, "layers.1");
  with("num_key_value_heads", 3, Code::corrupt_file, "num_key_value_heads");
  with("head_dim", 7, Code::corrupt_file, "head_dim");
  with("vocab_size", 4000000000ULL, Code::corrupt_file, "vocab_size");
  with("vocab_size", 100, Code::corrupt_file, "100");
  with("rms_norm_eps", nullptr, Code::corrupt_file, "rms_norm_eps");
  with("eos_token_id", 4096, Code::corrupt_file, "eos_token_id");
}

TEST(Huggingface, SaysWhatIsWrongWithTheFiles) {
  const auto image = model("llama");
  const Gguf original = Gguf::parse(image, "llama");
  const json::object config = test::published_config(original, "LlamaForCausalLM");
  const auto after = [&](const std::function<void(const Folder&)>& change, Code code,
                         const std::string& word) {
    const Folder folder("publish");
    test::publish(original, folder, config);
    change(folder);
    expect_refused(folder, code, word);
  };
  after([](const Folder& f) { std::filesystem::remove(f / "config.json"); }, Code::not_found, "config.json");
  after([](const Folder& f) { std::filesystem::remove(f / "tokenizer.json"); }, Code::not_found,
        "tokenizer.json");
  after([](const Folder& f) { std::filesystem::rename(f / "tokenizer.json", f / "tokenizer.model"); },
        Code::unsupported, "tokenizer.model");
  after([](const Folder& f) { test::write_text(f / "config.json", "{"); }, Code::corrupt_file, "config.json");
  after([](const Folder& f) { test::write_text(f / "config.json", "3"); }, Code::corrupt_file, "config.json");
  const auto tensors = [&](const std::function<void(std::map<std::string, test::Published>&)>& change,
                           Code code, const std::string& word) {
    after(
        [&](const Folder& f) {
          auto all = test::published_tensors(original);
          change(all);
          test::write_text(f / "model.safetensors", test::safetensors_of(all));
        },
        code, word);
  };
  tensors([](auto& all) { all.erase("lm_head.weight"); }, Code::corrupt_file, "lm_head.weight");
  tensors(
      [](auto& all) {
        all["model.layers.0.self_attn.q_norm.weight"] = {"F32", {1}, "abcd"};
      },
      Code::unsupported, "q_norm");
  tensors(
      [](auto& all) {
        all["model.layers.0.lora.weight"] = {"F32", {1}, "abcd"};
      },
      Code::unsupported, "lora");
  tensors(
      [](auto& all) {
        auto& t = all["model.norm.weight"];
        t = {"F8_E4M3", t.shape, std::string(t.shape[0], 'x')};
      },
      Code::unsupported, "F8_E4M3");
  const auto tokenizer = [&](bool inner, const char* key, Json value, Code code, const std::string& word) {
    after(
        [&](const Folder& f) {
          json::object all = test::published_tokenizer();
          (inner ? all["model"].as_object() : all)[key] = std::move(value);
          test::write_text(f / "tokenizer.json", json::serialize(all));
        },
        code, word);
  };
  tokenizer(true, "type", "Unigram", Code::unsupported, "Unigram");
  tokenizer(true, "vocab", json::object{{"x", 512}}, Code::corrupt_file, "512 rows");
  tokenizer(true, "vocab", json::object{{"x", 5}, {"y", 5}}, Code::corrupt_file, "the id 5");
  tokenizer(true, "vocab", nullptr, Code::corrupt_file, "vocabulary");
  tokenizer(true, "merges", json::array{"one"}, Code::corrupt_file, "merge");
  tokenizer(false, "pre_tokenizer", nullptr, Code::unsupported, "pre-tokenizer");
}

// Replaces a random value somewhere in the tree.
void damage(Json& value, std::mt19937& random) {
  const auto odd = [&]() -> Json {
    switch (random() % 10) {
      case 0: return nullptr;
      case 1: return -1;
      case 2: return 4294967296ULL;
      case 3: return 1e308;
      case 4: return "";
      case 5: return "\xff\xfe";
      case 6: return json::array{1, "a", nullptr};
      case 7: return json::object{{"type", "Sequence"}, {"content", 3}};
      case 8: return true;
      default: return 0;
    }
  };
  if (value.is_object() && !value.get_object().empty() && random() % 8 != 0) {
    auto at = value.get_object().begin();
    std::advance(at, static_cast<std::ptrdiff_t>(random() % std::min<size_t>(value.get_object().size(), 20)));
    damage(at->value(), random);
  } else if (value.is_array() && !value.get_array().empty() && random() % 4 != 0) {
    damage(value.get_array()[random() % value.get_array().size()], random);
  } else {
    value = odd();
  }
}

// Whatever stands in the JSON files: a model, or an Error; nothing else.
TEST(Huggingface, HostileJsonIsAnErrorOrAModel) {
  const auto image = model("llama");
  const Gguf original = Gguf::parse(image, "llama");
  const Folder folder("publish");
  json::object config = test::published_config(original, "LlamaForCausalLM");
  config["rope_scaling"] =
      json::parse(R"({"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,)"
                  R"("original_max_position_embeddings":256})");
  test::publish(original, folder, config);
  json::object tokenizer = test::published_tokenizer();
  tokenizer["post_processor"] = json::parse(
      R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}]})");
  const std::pair<const char*, Json> files[] = {
      {"config.json", config},
      {"tokenizer.json", tokenizer},
      {"tokenizer_config.json",
       json::parse(
           R"({"bos_token":{"content":"<s>"},"add_bos_token":true,"chat_template":[{"name":"default","template":"x"}]})")},
      {"generation_config.json", json::parse(R"({"eos_token_id":[2,3]})")}};
  std::mt19937 random(17);
  size_t refused = 0, accepted = 0;
  for (int round = 0; round < 1500; ++round) {
    for (const auto& [name, whole] : files) {
      Json content = whole;
      if (random() % 3 == 0) damage(content, random);
      test::write_text(folder / name, json::serialize(content));
    }
    try {
      planned_bytes(open_huggingface(folder.path), {});
      ++accepted;
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 300U);
  EXPECT_GT(accepted, 300U);
}

TEST(Huggingface, AWindowCutsTheContext) {
  const auto image = model("llama");
  const Gguf original = Gguf::parse(image, "llama");
  const Folder folder("publish");
  json::object config = test::published_config(original, "MistralForCausalLM");
  config["sliding_window"] = 128;
  test::publish(original, folder, config);
  EXPECT_EQ(open_huggingface(folder.path).notes.size(), 1U);
  EXPECT_EQ(converted(folder).u64("llama.context_length"), 128U);
  config["use_sliding_window"] = false;
  test::publish(original, folder, config);
  EXPECT_EQ(converted(folder).u64("llama.context_length"), 512U);
}

TEST(Huggingface, ConvertsAndQuantizesInOneGo) {
  const auto image = model("llama");
  const Gguf original = Gguf::parse(image, "llama");
  const Folder folder("publish");
  test::publish(original, folder, test::published_config(original, "LlamaForCausalLM"));
  const ModelSource source = open_huggingface(folder.path, "test");
  OutputFile file(folder / "direct.gguf");
  write_model(source, file.fd(), {&find_mixture("Q4_K_M"), 2, nullptr, false}, {});
  file.commit();
  const Gguf direct = Gguf::open(folder / "direct.gguf");
  EXPECT_EQ(direct.u64("general.file_type"), 15U);
  EXPECT_EQ(direct.tensor("blk.0.attn_q.weight")->type, DType::q4_k);
  EXPECT_EQ(direct.tensor("output.weight")->type, DType::q6_k);
}

}  // namespace
}  // namespace hearth
