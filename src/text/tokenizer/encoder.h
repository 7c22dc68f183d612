#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "text/tokenizer/lexicon.h"

namespace hearth::text {

struct EncoderContext {
  bool after_special = true;   // the text begins the whole, or follows a special token
  bool allow_markers = false;  // a vocabulary that has control tokens among its words may use them
};

// Tokenizes text that holds no special token; one kind per family. Any number of threads may use one.
class Encoder {
 public:
  Encoder() = default;
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;
  virtual ~Encoder() = default;

  // Appends the tokens of the text, which is not empty and may hold any bytes.
  virtual void encode(std::string_view text, EncoderContext context, std::vector<TokenId>& out) const = 0;
};

// The encoders keep a reference to the lexicon.
std::unique_ptr<const Encoder> make_byte_bpe(const Lexicon& lexicon);
std::unique_ptr<const Encoder> make_mark_bpe(const Lexicon& lexicon);
std::unique_ptr<const Encoder> make_spm(const Lexicon& lexicon);
std::unique_ptr<const Encoder> make_wordpiece(const Lexicon& lexicon);
std::unique_ptr<const Encoder> make_unigram(const Lexicon& lexicon);
std::unique_ptr<const Encoder> make_rwkv(const Lexicon& lexicon);

// By the lexicon's family.
std::unique_ptr<const Encoder> make_encoder(const Lexicon& lexicon);

}  // namespace hearth::text
