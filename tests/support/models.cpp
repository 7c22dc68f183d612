#include "support/models.h"

namespace hearth::test {
namespace {

// Bytes as byte-level vocabularies spell them.
json::array byte_tokens(size_t count) {
  json::array tokens;
  uint32_t other = 256;
  for (uint32_t b = 0; b < 256; ++b) {
    const bool printable = (b >= 33 && b <= 126) || (b >= 161 && b != 173);
    const uint32_t c = printable ? b : other++;
    std::string text;
    if (c < 128) {
      text = static_cast<char>(c);
    } else {
      text = {static_cast<char>(0xC0 | (c >> 6)), static_cast<char>(0x80 | (c & 63))};
    }
    tokens.emplace_back(text);
  }
  tokens.emplace_back("<s>");
  tokens.emplace_back("</s>");
  while (tokens.size() < count) tokens.emplace_back("[unused" + std::to_string(tokens.size()) + "]");
  return tokens;
}

size_t vocabulary_of(const json::array& metadata) {
  for (const Json& entry : metadata) {
    if (entry.at(0).as_string().ends_with(".vocab_size")) return entry.at(2).to_number<size_t>();
  }
  return 512;
}

}  // namespace

Json with_byte_tokens(Json recipe, const std::string& chat_template) {
  json::array& metadata = recipe.at("metadata").as_array();
  const size_t count = vocabulary_of(metadata);
  constexpr int normal = 1, control = 3;
  json::array types;
  for (size_t i = 0; i < count; ++i) types.emplace_back(i == 256 || i == 257 ? control : normal);
  metadata.push_back({"tokenizer.ggml.model", "string", "gpt2"});
  metadata.push_back({"tokenizer.ggml.pre", "string", "default"});
  metadata.push_back({"tokenizer.ggml.tokens", "array:string", byte_tokens(count)});
  metadata.push_back({"tokenizer.ggml.token_type", "array:i32", types});
  metadata.push_back({"tokenizer.ggml.merges", "array:string", json::array{"a b"}});
  metadata.push_back({"tokenizer.ggml.bos_token_id", "u32", 256});
  metadata.push_back({"tokenizer.ggml.eos_token_id", "u32", 257});
  metadata.push_back({"tokenizer.ggml.add_bos_token", "bool", true});
  if (!chat_template.empty()) metadata.push_back({"tokenizer.chat_template", "string", chat_template});
  return recipe;
}

}  // namespace hearth::test
