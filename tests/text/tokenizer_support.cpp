#include "tokenizer_support.h"

#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <stdexcept>

#include "base/file.h"

namespace hearth::test {

namespace {

// The metadata of a GGUF, as far as a vocabulary needs them.
class Metadata {
 public:
  explicit Metadata(const std::string& bytes) : bytes_(bytes) {
    at_ = 16;
    for (auto left = number<uint64_t>(); left > 0; --left) {
      const std::string key = string();
      value(key, number<uint32_t>());
    }
  }

  std::map<std::string, int64_t> integers;
  std::map<std::string, std::string> strings;
  std::map<std::string, std::vector<std::string>> texts;
  std::map<std::string, std::vector<float>> floats;
  std::map<std::string, std::vector<int32_t>> numbers;
  std::map<std::string, std::vector<uint8_t>> blobs;

 private:
  template <class T>
  T number() {
    T v;
    std::memcpy(&v, bytes_.substr(at_, sizeof v).data(), sizeof v);
    at_ += sizeof v;
    return v;
  }

  std::string string() {
    const auto size = static_cast<size_t>(number<uint64_t>());
    at_ += size;
    return std::string(bytes_.substr(at_ - size, size));
  }

  void value(const std::string& key, uint32_t type) {
    switch (type) {
      case 0:
      case 1:
      case 7: integers[key] = number<uint8_t>(); break;
      case 2:
      case 3: integers[key] = number<uint16_t>(); break;
      case 4: integers[key] = number<uint32_t>(); break;
      case 5: integers[key] = number<int32_t>(); break;
      case 6: number<float>(); break;
      case 8: strings[key] = string(); break;
      case 9: array(key); break;
      default: throw std::runtime_error("GGUF type " + std::to_string(type) + " in " + key);
    }
  }

  void array(const std::string& key) {
    const auto type = number<uint32_t>();
    for (auto left = number<uint64_t>(); left > 0; --left) {
      switch (type) {
        case 0:
        case 1: blobs[key].push_back(number<uint8_t>()); break;
        case 5: numbers[key].push_back(number<int32_t>()); break;
        case 6: floats[key].push_back(number<float>()); break;
        case 8: texts[key].push_back(string()); break;
        default: throw std::runtime_error("GGUF array type " + std::to_string(type) + " in " + key);
      }
    }
  }

  std::string_view bytes_;
  size_t at_ = 0;
};

Vocabulary vocabulary_of(const Metadata& m) {
  const auto get = [](const auto& map, const std::string& key) {
    const auto it = map.find("tokenizer.ggml." + key);
    return it == map.end() ? typename std::decay_t<decltype(map)>::mapped_type{} : it->second;
  };
  const auto id = [&](const std::string& key) -> std::optional<TokenId> {
    const auto it = m.integers.find("tokenizer.ggml." + key + "_token_id");
    if (it == m.integers.end()) return std::nullopt;
    return TokenId{static_cast<int32_t>(it->second)};
  };
  const auto flag = [&](const std::string& key) -> std::optional<bool> {
    const auto it = m.integers.find("tokenizer.ggml." + key);
    if (it == m.integers.end()) return std::nullopt;
    return it->second != 0;
  };
  Vocabulary v;
  v.model = get(m.strings, "model");
  v.pre = get(m.strings, "pre");
  if (const auto it = m.strings.find("general.name"); it != m.strings.end()) v.name = it->second;
  v.tokens = get(m.texts, "tokens");
  v.scores = get(m.floats, "scores");
  for (int32_t type : get(m.numbers, "token_type")) v.types.push_back(static_cast<TokenType>(type));
  v.merges = get(m.texts, "merges");
  v.bos = id("bos");
  v.eos = id("eos");
  v.unk = id("unknown");
  v.sep = id("seperator");
  v.pad = id("padding");
  v.cls = id("cls");
  v.mask = id("mask");
  v.add_bos = flag("add_bos_token");
  v.add_eos = flag("add_eos_token");
  v.add_space_prefix = flag("add_space_prefix");
  v.remove_extra_whitespaces = flag("remove_extra_whitespaces");
  v.precompiled_charsmap = get(m.blobs, "precompiled_charsmap");
  return v;
}

}  // namespace

std::string output_of(const std::string& command) {
  const auto close = [](FILE* f) { return pclose(f); };
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) throw std::runtime_error("cannot run " + command);
  std::string out;
  char buffer[65536];
  for (size_t n = 0; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, n);
  if (close(pipe) != 0) throw std::runtime_error(command + " failed");
  return out;
}

Vocabulary read_vocabulary(const std::filesystem::path& gguf_xz) {
  const std::string bytes = output_of("xz -dc '" + gguf_xz.string() + "'");
  return vocabulary_of(Metadata(bytes));
}

Vocabulary read_vocabulary_json(const std::string& name) {
  const Json file = read_json(case_file("text/" + name));
  const json::object& o = file.as_object();
  const auto texts = [&](std::string_view key) {
    std::vector<std::string> out;
    if (const Json* list = o.if_contains(key))
      for (const Json& text : list->as_array()) out.emplace_back(text.as_string());
    return out;
  };
  const auto id = [&](std::string_view key) -> std::optional<TokenId> {
    const Json* value = o.if_contains(key);
    if (!value) return std::nullopt;
    return TokenId{value->to_number<int32_t>()};
  };
  const auto flag = [&](std::string_view key) -> std::optional<bool> {
    const Json* value = o.if_contains(key);
    if (!value) return std::nullopt;
    return value->as_bool();
  };
  Vocabulary v;
  v.model = o.at("model").as_string();
  if (const Json* pre = o.if_contains("pre")) v.pre = pre->as_string();
  v.tokens = texts("tokens");
  v.merges = texts("merges");
  if (const Json* list = o.if_contains("scores"))
    for (const Json& score : list->as_array()) v.scores.push_back(score.to_number<float>());
  if (const Json* list = o.if_contains("types"))
    for (const Json& type : list->as_array())
      v.types.push_back(static_cast<TokenType>(type.to_number<int32_t>()));
  v.bos = id("bos");
  v.eos = id("eos");
  v.unk = id("unk");
  v.sep = id("sep");
  v.cls = id("cls");
  v.add_bos = flag("add_bos");
  v.add_eos = flag("add_eos");
  v.add_space_prefix = flag("add_space_prefix");
  v.remove_extra_whitespaces = flag("remove_extra_whitespaces");
  return v;
}

std::vector<int32_t> values(const std::vector<TokenId>& ids) {
  std::vector<int32_t> out;
  out.reserve(ids.size());
  for (TokenId id : ids) out.push_back(id.value);
  return out;
}

std::vector<TokenId> ids_of(const Json& array) {
  std::vector<TokenId> out;
  for (const Json& id : array.as_array()) out.push_back(TokenId{id.to_number<int32_t>()});
  return out;
}

std::string bytes_of(const json::object& object, std::string_view key) {
  if (const Json* plain = object.if_contains(key)) return std::string(plain->as_string());
  return from_hex(std::string_view(object.at(std::string(key) + "_hex").as_string()));
}

}  // namespace hearth::test
