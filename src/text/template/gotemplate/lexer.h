#pragma once

#include <string>
#include <string_view>

#include "text/template/failure.h"

namespace hearth::gotmpl {

enum class TokenKind : uint8_t {
  text,      // outside of actions, trimmed
  open,      // {{
  close,     // }}
  dot,       // .
  field,     // .Name
  variable,  // $ or $name
  word,      // keyword, function, true, false, nil
  number,    // also 'c'
  quoted,    // "..." with its quotes
  raw,       // `...` with its quotes
  assign,    // =
  declare,   // :=
  comma,
  pipe,
  left_paren,
  right_paren,
  end,
};

struct Token {
  TokenKind kind = TokenKind::end;
  std::string_view text;  // of the source
  size_t offset = 0;
  tmpl::Position at;
  bool spaced = false;  // white space stands before it
};

// Cuts a Go template into tokens. Comments and trimmed white space vanish.
class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  // Throws Failure of kind syntax.
  Token next();

 private:
  Token text();
  Token inside();
  Token quoted(char quote);
  Token number();
  Token make(TokenKind kind, size_t from, size_t to);
  bool skip_comment(size_t open);
  size_t closing_at(size_t from) const;  // length of `}}` or ` -}}` there, 0 if neither
  size_t end_of_word(size_t from) const;
  bool terminated(size_t at) const;
  tmpl::Position position(size_t offset);
  [[noreturn]] void fail(std::string message, size_t offset);

  std::string_view source_;
  size_t next_ = 0;
  size_t open_ = 0;  // of the last {{
  bool inside_ = false;
  bool pending_open_ = false;
  bool spaced_ = false;
  size_t parentheses_ = 0;

  // Of the last position asked for.
  size_t seen_ = 0;
  uint32_t line_ = 1;
  size_t line_start_ = 0;
};

}  // namespace hearth::gotmpl
