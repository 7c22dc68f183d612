#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/template/failure.h"

namespace hearth::tmpl::jinja {

enum class TokenKind : uint8_t {
  data,  // literal text of the template
  print_begin,
  print_end,
  block_begin,
  block_end,
  name,
  string,   // decoded
  integer,  // decimal digits
  floating,
  op,  // one of + - / // * % ** ~ [ ] ( ) { } == != > >= < <= = . : | , ;
  end,
};

struct Token {
  TokenKind kind;
  std::string text;
  Position at;

  bool is(TokenKind expected, std::string_view spelling) const {
    return kind == expected && text == spelling;
  }
  bool is_op(std::string_view spelling) const { return is(TokenKind::op, spelling); }
  bool is_name(std::string_view spelling) const { return is(TokenKind::name, spelling); }
};

// Cuts a template into tokens, ending with one of kind `end`. White space next to tags is already removed:
// trim_blocks, lstrip_blocks, `-` and `+`. Comments are gone. Throws Failure (syntax).
std::vector<Token> tokenize(std::string_view source);

// What a token is called in messages.
std::string describe(const Token& token);

// The value of a string literal without its quotes. Throws Failure (syntax) on a broken escape.
std::string unescape(std::string_view literal, Position at);

}  // namespace hearth::tmpl::jinja
