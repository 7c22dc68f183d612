#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"
#include "text/tokenizer/text_index.h"
#include "text/vocabulary.h"

namespace hearth::text {

enum class Family { byte_bpe, mark_bpe, spm, wordpiece, unigram, rwkv };

// A checked vocabulary: every array has one entry per token, every id lies inside, every question has an
// answer.
struct Lexicon {
  std::string pre, name;
  Family family = Family::byte_bpe;
  std::vector<std::string> tokens;
  std::vector<float> scores;
  std::vector<TokenType> types;
  std::vector<std::string> merges;
  std::vector<uint8_t> precompiled_charsmap;
  // Control and unknown tokens, and those that end generation or fill in the middle: recognised only where
  // wanted.
  std::vector<bool> marker;
  SpecialTokens special;
  std::vector<TokenId> ends;  // ascending
  bool add_bos = false, add_eos = false, add_sep = false, add_space_prefix = false;
  bool remove_extra_whitespaces = false, lowercase = true;
  std::vector<std::string> notes;

  size_t size() const { return tokens.size(); }
  TokenType type(TokenId id) const { return types[static_cast<size_t>(id.value)]; }
  const std::string& text(TokenId id) const { return tokens[static_cast<size_t>(id.value)]; }
  std::optional<TokenId> find(std::string_view text) const;
  // The same, but never a marker.
  std::optional<TokenId> find_word(std::string_view text) const;

  // Of several tokens with one text the last counts.
  TextIndex texts;
  std::vector<TokenId> by_text;  // [number in texts]
};

// Throws Error for metadata that contradict themselves; forgivable oddities go to the notes.
Lexicon check(Vocabulary vocabulary);

// The bytes each token stands for.
std::string piece_of(const Lexicon& lexicon, size_t token);

}  // namespace hearth::text
