#pragma once

#include <string>
#include <string_view>

#include "base/id.h"

namespace hearth {

class Tokenizer;

struct DetokenizeOptions {
  // The first token opens the text, so a leading space that encoding put there is dropped (see
  // Tokenizer::decode). False where tokens continue a prompt: there the space is part of the answer.
  bool start_of_text = true;
  // Print control tokens; else they vanish. User-defined tokens are text and always printed.
  bool show_control = true;
};

// Cuts a stream of bytes at character borders: what it gives out is always valid UTF-8.
class Utf8Stream {
 public:
  // Appends to `out` all characters that are complete; each byte that can no longer become part of one is
  // U+FFFD.
  void push(std::string_view bytes, std::string& out);
  // Gives out what was held back, as U+FFFD.
  void flush(std::string& out);

 private:
  std::string held_;  // the start of a character, at most 3 bytes
};

// Tokens of one answer to text, as they come. Not for use by two threads at once; the tokenizer must outlive
// it.
class Detokenizer {
 public:
  explicit Detokenizer(const Tokenizer& tokenizer, DetokenizeOptions options = {});

  // The text that this token completes: whole characters only, possibly none. An unknown id gives nothing.
  std::string push(TokenId token);
  // The rest at the end of the answer. The detokenizer is then as new.
  std::string flush();

 private:
  const Tokenizer& tokenizer_;
  DetokenizeOptions options_;
  Utf8Stream stream_;
  bool at_start_;
};

}  // namespace hearth
