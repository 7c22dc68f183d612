// Tokenizing speed in bytes of text per second on one core. Always with vocabularies made by a formula; where
// HEARTH_REFERENCE names the folder of the reference data, also with the published ones and its long text.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace hearth {

namespace {

// A word like "kamitosu": the same for the same number.
std::string word(uint32_t number) {
  static constexpr char consonants[] = "bdfghklmnprstvwz", vowels[] = "aeiou";
  std::string text;
  for (number = number * 2654435761u >> 12; number > 0; number /= 80)
    text.append({consonants[number % 16], vowels[number / 16 % 5]});
  return text;
}

// Words, the lower-numbered ones much more often, with a comma or a line end now and then.
std::string made_text(size_t bytes) {
  std::string text;
  uint32_t state = 1;
  while (text.size() < bytes) {
    state = state * 1664525u + 1013904223u;
    const uint32_t range = 8u << (state >> 28);
    text += word(1 + (state >> 8) % range) + (state % 11 == 0 ? ", " : state % 17 == 0 ? ".\n" : " ");
  }
  return text;
}

// All beginnings of the first words, with the space in front that `space` spells, shortest and commonest
// first.
std::vector<std::string> made_tokens(const std::string& space) {
  std::set<std::string> known;
  std::vector<std::string> tokens;
  for (uint32_t i = 1; i <= 20'000; ++i) {
    const std::string whole = word(i);
    for (const std::string& front : {std::string(), space})
      for (size_t n = 1; n <= whole.size(); ++n)
        if (const std::string token = front + whole.substr(0, n); known.insert(token).second)
          tokens.push_back(token);
  }
  return tokens;
}

Vocabulary made_bpe(const std::string& pre) {
  Vocabulary v;
  v.model = "gpt2";
  v.pre = pre;
  for (char c = '!'; c <= '~'; ++c) v.tokens.emplace_back(1, c);
  v.tokens.insert(v.tokens.end(), {"\u0120", "\u010A"});
  for (const std::string& token : made_tokens("\u0120")) {
    if (token.size() < 2) continue;
    v.tokens.push_back(token);
    if (token != "\u0120") v.merges.push_back(token.substr(0, token.size() - 1) + " " + token.back());
  }
  return v;
}

Vocabulary made_spm() {
  Vocabulary v;
  v.model = "llama";
  v.tokens = {"<unk>", "<s>", "</s>", "\u2581", ",", ".", "\n"};
  v.types = {TokenType::unknown, TokenType::control, TokenType::control};
  for (const std::string& token : made_tokens("\u2581")) v.tokens.push_back(token);
  v.types.resize(v.tokens.size(), TokenType::normal);
  for (size_t i = 0; i < v.tokens.size(); ++i) v.scores.push_back(-static_cast<float>(i));
  return v;
}

// Reads the metadata of a trusted GGUF file, as far as a tokenizer needs them.
class Reader {
 public:
  explicit Reader(std::string bytes) : bytes_(std::move(bytes)) {
    at_ = 16;
    for (auto left = number<uint64_t>(); left > 0; --left) {
      const std::string key = string();
      value(key, number<uint32_t>());
    }
  }

  Vocabulary vocabulary;

 private:
  template <class T>
  T number() {
    T v;
    std::memcpy(&v, bytes_.data() + at_, sizeof v);
    at_ += sizeof v;
    return v;
  }

  std::string string() {
    const auto size = static_cast<size_t>(number<uint64_t>());
    at_ += size;
    return bytes_.substr(at_ - size, size);
  }

  void value(const std::string& key, uint32_t type) {
    Vocabulary& v = vocabulary;
    static constexpr size_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    if (type == 8) {
      const std::string text = string();
      if (key == "tokenizer.ggml.model") v.model = text;
      if (key == "tokenizer.ggml.pre") v.pre = text;
      if (key == "general.name") v.name = text;
    } else if (type == 9) {
      const auto element = number<uint32_t>();
      for (auto left = number<uint64_t>(); left > 0; --left) {
        if (key == "tokenizer.ggml.tokens") {
          v.tokens.push_back(string());
        } else if (key == "tokenizer.ggml.merges") {
          v.merges.push_back(string());
        } else if (key == "tokenizer.ggml.scores") {
          v.scores.push_back(number<float>());
        } else if (key == "tokenizer.ggml.token_type") {
          v.types.push_back(static_cast<TokenType>(number<int32_t>()));
        } else if (key == "tokenizer.ggml.precompiled_charsmap") {
          v.precompiled_charsmap.push_back(number<uint8_t>());
        } else {
          value("", element);
        }
      }
    } else if (key == "tokenizer.ggml.add_space_prefix") {
      v.add_space_prefix = number<uint8_t>() != 0;
    } else {
      at_ += sizes[type];
    }
  }

  std::string bytes_;
  size_t at_ = 0;
};

Vocabulary published(const std::string& file) {
  std::string bytes;
  if (FILE* pipe = popen(("xz -dc '" + file + "'").c_str(), "r")) {
    char buffer[65536];
    for (size_t n = 0; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) bytes.append(buffer, n);
    pclose(pipe);
  }
  return Reader(std::move(bytes)).vocabulary;
}

void encode(benchmark::State& state, const Tokenizer& tokenizer, const std::string& text) {
  size_t tokens = 0;
  for (auto _ : state) tokens = tokenizer.encode(text, {false, false}).size();
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * static_cast<int64_t>(text.size()));
  state.counters["bytes/token"] = static_cast<double>(text.size()) / static_cast<double>(tokens);
}

void add(const std::string& name, Vocabulary vocabulary, const std::string& text) {
  static std::vector<std::unique_ptr<Tokenizer>> tokenizers;
  static std::vector<std::unique_ptr<std::string>> texts;
  tokenizers.push_back(Tokenizer::create(std::move(vocabulary)));
  texts.push_back(std::make_unique<std::string>(text));
  benchmark::RegisterBenchmark(name.c_str(), [&tokenizer = *tokenizers.back(),
                                              &t = *texts.back()](benchmark::State& state) {
    encode(state, tokenizer, t);
  })->Unit(benchmark::kMillisecond);
}

void add_all() {
  const std::string text = made_text(300'000);
  add("made/gpt-2", made_bpe("gpt-2"), text);
  add("made/llama-bpe", made_bpe("llama-bpe"), text);
  add("made/qwen2", made_bpe("qwen2"), text);
  add("made/llama", made_spm(), text);
  const char* folder = std::getenv("HEARTH_REFERENCE");
  if (!folder) return;
  const std::string dir = std::string(folder) + "/tokenizer/";
  std::ifstream file(dir + "longtext.txt", std::ios::binary);
  const std::string prose(std::istreambuf_iterator<char>(file), {});
  for (const char* name :
       {"gpt-2", "llama-bpe", "qwen2", "llama-spm", "phi-3", "spm-gemma-flags", "deepseek-llm", "falcon",
        "starcoder", "gemma4-like", "bert-bge", "t5-small", "rwkv-world"})
    add(std::string("published/") + name, published(dir + "vocab/" + name + ".gguf.xz"), prose);
}

}  // namespace

}  // namespace hearth

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  hearth::add_all();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
