#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/id.h"

namespace hearth {

// tokenizer.ggml.token_type. Other numbers found in a file are cast as they are; the tokenizer takes them for
// normal.
enum class TokenType : int32_t {
  normal = 1,
  unknown = 2,
  control = 3,
  user_defined = 4,
  unused = 5,
  byte = 6
};

// Everything a tokenizer needs, as plain data: what a GGUF's metadata says, unchecked. Each field names its
// key; an absent key leaves the field as it is here. Tokenizer::create checks it all.
struct Vocabulary {
  // tokenizer.ggml.model (required): gpt2, llama, gemma4, bert, t5 or rwkv.
  std::string model;
  // tokenizer.ggml.pre: how gpt2 texts are cut before merging. Absent: the group "default".
  std::string pre;
  // general.name: only looked at for the few models whose special tokens swallow the whitespace beside them.
  std::string name;

  // tokenizer.ggml.tokens (required): the text of each token, as the file spells it.
  std::vector<std::string> tokens;
  // tokenizer.ggml.scores: as long as tokens, or absent (empty): all 0.
  std::vector<float> scores;
  // tokenizer.ggml.token_type: as long as tokens, or absent (empty): all normal.
  std::vector<TokenType> types;
  // tokenizer.ggml.merges: "left right", best first. Required by gpt2 and gemma4.
  std::vector<std::string> merges;

  // tokenizer.ggml.{bos,eos,unknown,seperator,padding,cls,mask,eot,eom}_token_id (the file format spells it
  // "seperator"). An id outside the vocabulary is ignored with a note; an absent one takes the family's usual
  // place (llama: unk 0, bos 1, eos 2; bert: pad 0, unk 100, cls 101, sep 102, mask 103; t5: pad 0, eos 1,
  // unk 2).
  std::optional<TokenId> bos, eos, unk, sep, pad, cls, mask, eot, eom;
  // tokenizer.ggml.{fim_pre,fim_suf,fim_mid,fim_pad,fim_rep,fim_sep}_token_id. Absent: found by their usual
  // texts.
  std::optional<TokenId> fim_pre, fim_suf, fim_mid, fim_pad, fim_rep, fim_sep;
  // tokenizer.ggml.eos_token_ids: further ids that end generation.
  std::vector<TokenId> more_eos;

  // tokenizer.ggml.add_bos_token, add_eos_token, add_sep_token. Absent: as the family and `pre` have it.
  std::optional<bool> add_bos, add_eos, add_sep;
  // tokenizer.ggml.add_space_prefix. Absent: true for llama, else false.
  std::optional<bool> add_space_prefix;
  // tokenizer.ggml.remove_extra_whitespaces (t5). Absent: false.
  std::optional<bool> remove_extra_whitespaces;
  // tokenizer.ggml.normalizer.lowercase (bert). Absent: true.
  std::optional<bool> lowercase;
  // tokenizer.ggml.precompiled_charsmap (t5): the bytes of that array of 8-bit integers. Absent: texts are
  // taken as they are.
  std::vector<uint8_t> precompiled_charsmap;
};

}  // namespace hearth
