#include "text/tokenizer/lexicon.h"

#include <fmt/format.h>

#include <cmath>

#include "base/error.h"
#include "text/tokenizer/byte_level.h"
#include "text/tokenizer/markers.h"
#include "text/tokenizer/pretokenizer_table.h"
#include "text/tokenizer/rwkv_text.h"
#include "text/tokenizer/utf8.h"

namespace hearth::text {

namespace {

constexpr const char* kRemedy = "the model file is damaged or was made by a faulty converter";

Family family_of(const Vocabulary& v) {
  if (v.model == "gpt2") return find_pretokenizer(v.pre).byte_level ? Family::byte_bpe : Family::mark_bpe;
  if (v.model == "gemma4") return Family::mark_bpe;
  if (v.model == "llama") return Family::spm;
  if (v.model == "bert") return Family::wordpiece;
  if (v.model == "t5") return Family::unigram;
  if (v.model == "rwkv") return Family::rwkv;
  throw Error(Code::unsupported, fmt::format("tokenizer.ggml.model \"{}\" is not known", v.model),
              "supported are gpt2, llama, gemma4, bert, t5 and rwkv");
}

void check_texts(const Lexicon& x) {
  if (x.tokens.empty()) throw Error(Code::corrupt_file, "tokenizer.ggml.tokens is missing or empty", kRemedy);
  constexpr size_t limit = size_t{1} << 30;
  size_t bytes = 0;
  for (const auto& token : x.tokens) bytes += token.size();
  for (const auto& merge : x.merges) bytes += merge.size();
  if (x.tokens.size() > limit / 64 || x.merges.size() > limit / 16 || bytes > limit)
    throw Error(Code::corrupt_file, fmt::format("a vocabulary of {} tokens and {} bytes", x.size(), bytes),
                kRemedy);
}

void check_scores(Lexicon& x) {
  if (x.scores.empty()) x.scores.assign(x.size(), 0.0f);
  if (x.scores.size() != x.size())
    throw Error(Code::corrupt_file,
                fmt::format("tokenizer.ggml.scores has {} entries for {} tokens", x.scores.size(), x.size()),
                kRemedy);
  for (size_t i = 0; i < x.size(); ++i) {
    if (std::isnan(x.scores[i]) || x.scores[i] > 1e30f)
      throw Error(Code::corrupt_file, fmt::format("the score of token {} is not a number", i), kRemedy);
    x.scores[i] = std::max(x.scores[i], -1e30f);
  }
}

void check_types(Lexicon& x) {
  if (x.types.empty()) x.types.assign(x.size(), TokenType::normal);
  if (x.types.size() != x.size())
    throw Error(
        Code::corrupt_file,
        fmt::format("tokenizer.ggml.token_type has {} entries for {} tokens", x.types.size(), x.size()),
        kRemedy);
  size_t odd = 0;
  for (auto& type : x.types) {
    if (type >= TokenType::normal && type <= TokenType::byte) continue;
    type = TokenType::normal;
    ++odd;
  }
  if (odd > 0)
    x.notes.push_back(fmt::format("{} tokens have an unknown type and are taken for normal ones", odd));
}

void index_texts(Lexicon& x) {
  size_t empty = 0, double_texts = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    if (x.tokens[i].empty()) {
      ++empty;
      continue;
    }
    const TokenId id{static_cast<int32_t>(i)};
    const uint32_t number = x.texts.add(x.tokens[i]);
    if (number < x.by_text.size()) {
      x.by_text[number] = id;
      ++double_texts;
    } else {
      x.by_text.push_back(id);
    }
  }
  if (empty > 0) x.notes.push_back(fmt::format("{} tokens have no text and are never produced", empty));
  if (double_texts > 0)
    x.notes.push_back(fmt::format("{} token texts occur twice; the last one counts", double_texts));
}

bool model_adds_bos(const Lexicon& x, const Vocabulary& v) {
  switch (x.family) {
    case Family::spm:
    case Family::wordpiece: return true;
    case Family::mark_bpe: return v.model == "gemma4" || find_pretokenizer(v.pre).add_bos;
    case Family::byte_bpe: return find_pretokenizer(v.pre).add_bos;
    case Family::unigram:
    case Family::rwkv: return false;
  }
  return false;
}

void settle_flags(Lexicon& x, const Vocabulary& v) {
  x.add_bos = v.add_bos.value_or(model_adds_bos(x, v));
  // These two add what they add whatever the file says: the models know no other way.
  if (v.model == "gemma4" || x.family == Family::wordpiece) x.add_bos = true;
  if (x.family == Family::rwkv) x.add_bos = false;
  x.add_eos = v.add_eos.value_or(x.family == Family::unigram);
  const bool sep_by_pre = x.family == Family::byte_bpe && find_pretokenizer(v.pre).add_sep;
  x.add_sep = v.add_sep.value_or(x.family == Family::wordpiece || sep_by_pre);
  x.add_space_prefix = v.add_space_prefix.value_or(x.family == Family::spm);
  x.remove_extra_whitespaces = v.remove_extra_whitespaces.value_or(false);
  x.lowercase = v.lowercase.value_or(true);
}

}  // namespace

std::optional<TokenId> Lexicon::find(std::string_view text) const {
  const uint32_t number = texts.find(text);
  if (number == TextIndex::none) return std::nullopt;
  return by_text[number];
}

std::optional<TokenId> Lexicon::find_word(std::string_view text) const {
  const auto id = find(text);
  if (!id || marker[static_cast<size_t>(id->value)]) return std::nullopt;
  return id;
}

Lexicon check(Vocabulary vocabulary) {
  Lexicon x;
  x.family = family_of(vocabulary);
  x.pre = std::move(vocabulary.pre);
  vocabulary.pre = x.pre;
  x.name = std::move(vocabulary.name);
  x.tokens = std::move(vocabulary.tokens);
  x.scores = std::move(vocabulary.scores);
  x.types = std::move(vocabulary.types);
  x.merges = std::move(vocabulary.merges);
  x.precompiled_charsmap = std::move(vocabulary.precompiled_charsmap);
  check_texts(x);
  check_scores(x);
  check_types(x);
  if ((x.family == Family::byte_bpe || x.family == Family::mark_bpe) && x.merges.empty())
    throw Error(Code::corrupt_file, "tokenizer.ggml.merges is missing or empty", kRemedy);
  index_texts(x);
  settle_flags(x, vocabulary);
  settle_markers(x, vocabulary);
  return x;
}

std::string piece_of(const Lexicon& x, size_t token) {
  const std::string& text = x.tokens[token];
  const TokenType type = x.types[token];
  if (type == TokenType::control || type == TokenType::unknown || type == TokenType::user_defined)
    return text;
  if (type == TokenType::unused && x.family != Family::rwkv) return {};
  if (type == TokenType::byte || x.family == Family::mark_bpe) {
    const int value = byte_token_value(text);
    if (value >= 0 && type == TokenType::byte) return std::string(1, static_cast<char>(value));
  }
  if (x.family == Family::byte_bpe) return bytes_from_letters(text).value_or(text);
  if (x.family == Family::rwkv) return unescape_rwkv(text);
  std::string piece;
  piece.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const bool mark = std::string_view(text).substr(at).starts_with(kSpaceMark);
    piece.push_back(mark ? ' ' : text[at]);
    at += mark ? kSpaceMark.size() : 1;
  }
  return piece;
}

}  // namespace hearth::text
