#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "text/prompt.h"
#include "text/vocabulary.h"

namespace hearth {

struct EncodeOptions {
  // Add BOS, EOS, CLS or SEP as the vocabulary says.
  bool add_special = true;
  // Recognise control tokens written out in the text. User-defined tokens are recognised always.
  bool parse_special = false;
};

// The ids a vocabulary marks for a purpose; none where it has no such token.
struct SpecialTokens {
  std::optional<TokenId> bos, eos, unk, sep, pad, cls, mask, eot, eom;
  std::optional<TokenId> fim_pre, fim_suf, fim_mid, fim_pad, fim_rep, fim_sep;
};

// Text to token ids and back. Immutable once made: any number of threads may use one at the same time.
class Tokenizer final {
 public:
  // Throws Error: `unsupported` for an unknown model or `pre`, `corrupt_file` for metadata that contradict
  // themselves.
  static std::unique_ptr<Tokenizer> create(Vocabulary vocabulary);

  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  // Any bytes are accepted, valid UTF-8 or not. Throws Error (`bad_request`) only for texts of 1 GiB and
  // more.
  std::vector<TokenId> encode(std::string_view text, EncodeOptions options = {}) const;

  // The same for a rendered template: control tokens are recognised only where all their text is of origin
  // `model`; otherwise the parts tokenize as the one text they form.
  std::vector<TokenId> encode(const Prompt& prompt, bool add_special = true) const;

  // The bytes one token stands for, special tokens printed; may be part of a character. Empty for an unknown
  // id. Valid as long as the tokenizer.
  std::string_view piece(TokenId token) const noexcept;

  // All pieces joined; where texts get a space in front, one leading space is taken off again. May end within
  // a character: for streams use Detokenizer.
  std::string decode(std::span<const TokenId> tokens) const;

  // Whether decode takes a space off the front.
  bool strips_leading_space() const noexcept;

  // The token's text as the file spells it (a byte-level token still in its letters). Empty for an unknown
  // id.
  std::string_view text(TokenId token) const noexcept;

  // The token with exactly this text in the file's spelling.
  std::optional<TokenId> find(std::string_view text) const noexcept;

  // Whether generation stops at this token: EOS, EOT, EOM and the tokens known by their text.
  bool ends_generation(TokenId token) const noexcept;
  const std::vector<TokenId>& end_tokens() const noexcept;  // all of them, ascending

  // Whether the token is a marker (type control or unknown) and not text.
  bool is_control(TokenId token) const noexcept;

  std::optional<TokenId> bos() const noexcept;
  std::optional<TokenId> eos() const noexcept;
  const SpecialTokens& special() const noexcept;
  bool adds_bos() const noexcept;
  bool adds_eos() const noexcept;
  bool adds_sep() const noexcept;
  size_t size() const noexcept;  // ids are 0 … size()-1

  // What in the metadata was ignored, one line each, for the log.
  const std::vector<std::string>& notes() const noexcept;

 private:
  struct State;
  explicit Tokenizer(std::unique_ptr<const State> state);

  std::unique_ptr<const State> state_;
};

}  // namespace hearth
