#include <limits>

#include "worker/open_model.h"

namespace hearth {
namespace {

std::optional<TokenId> token(const Gguf& file, const char* key) {
  const auto id = file.u64(key);
  if (!id || *id > static_cast<uint64_t>(std::numeric_limits<int32_t>::max())) return std::nullopt;
  return TokenId{static_cast<int32_t>(*id)};
}

std::vector<std::string> copies(const std::vector<std::string_view>& views) {
  return {views.begin(), views.end()};
}

void read_special(const Gguf& file, Vocabulary& v) {
  v.bos = token(file, "tokenizer.ggml.bos_token_id");
  v.eos = token(file, "tokenizer.ggml.eos_token_id");
  v.unk = token(file, "tokenizer.ggml.unknown_token_id");
  v.sep = token(file, "tokenizer.ggml.seperator_token_id");
  v.pad = token(file, "tokenizer.ggml.padding_token_id");
  v.cls = token(file, "tokenizer.ggml.cls_token_id");
  v.mask = token(file, "tokenizer.ggml.mask_token_id");
  v.eot = token(file, "tokenizer.ggml.eot_token_id");
  v.eom = token(file, "tokenizer.ggml.eom_token_id");
  v.fim_pre = token(file, "tokenizer.ggml.fim_pre_token_id");
  v.fim_suf = token(file, "tokenizer.ggml.fim_suf_token_id");
  v.fim_mid = token(file, "tokenizer.ggml.fim_mid_token_id");
  v.fim_pad = token(file, "tokenizer.ggml.fim_pad_token_id");
  v.fim_rep = token(file, "tokenizer.ggml.fim_rep_token_id");
  v.fim_sep = token(file, "tokenizer.ggml.fim_sep_token_id");
  if (file.find("tokenizer.ggml.eos_token_ids") != nullptr) {
    for (const int32_t id : file.ints("tokenizer.ggml.eos_token_ids")) v.more_eos.push_back({id});
  }
}

}  // namespace

Vocabulary read_vocabulary(const Gguf& file) {
  Vocabulary v;
  v.model = std::string(file.string("tokenizer.ggml.model").value_or(""));
  v.pre = std::string(file.string("tokenizer.ggml.pre").value_or(""));
  v.name = std::string(file.string("general.name").value_or(""));
  v.tokens = copies(file.strings("tokenizer.ggml.tokens"));
  if (file.find("tokenizer.ggml.scores") != nullptr) v.scores = file.floats("tokenizer.ggml.scores");
  if (file.find("tokenizer.ggml.token_type") != nullptr) {
    for (const int32_t type : file.ints("tokenizer.ggml.token_type"))
      v.types.push_back(static_cast<TokenType>(type));
  }
  if (file.find("tokenizer.ggml.merges") != nullptr) v.merges = copies(file.strings("tokenizer.ggml.merges"));
  read_special(file, v);
  v.add_bos = file.boolean("tokenizer.ggml.add_bos_token");
  v.add_eos = file.boolean("tokenizer.ggml.add_eos_token");
  v.add_sep = file.boolean("tokenizer.ggml.add_sep_token");
  v.add_space_prefix = file.boolean("tokenizer.ggml.add_space_prefix");
  v.remove_extra_whitespaces = file.boolean("tokenizer.ggml.remove_extra_whitespaces");
  v.lowercase = file.boolean("tokenizer.ggml.normalizer.lowercase");
  if (file.find("tokenizer.ggml.precompiled_charsmap") != nullptr) {
    for (const int32_t byte : file.ints("tokenizer.ggml.precompiled_charsmap")) {
      v.precompiled_charsmap.push_back(static_cast<uint8_t>(byte));
    }
  }
  return v;
}

}  // namespace hearth
