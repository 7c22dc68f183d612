#include "text/template/gotemplate/lexer.h"

#include <fmt/format.h>

namespace hearth::gotmpl {
namespace {

constexpr size_t npos = std::string_view::npos;
constexpr std::string_view blanks = " \t\r\n";

bool is_blank(char c) { return blanks.find(c) != npos; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

}  // namespace

void Lexer::fail(std::string message, size_t offset) {
  tmpl::fail_syntax(std::move(message), position(offset));
}

tmpl::Position Lexer::position(size_t offset) {
  if (offset < seen_) {
    seen_ = 0;
    line_ = 1;
    line_start_ = 0;
  }
  for (; seen_ < offset; ++seen_) {
    if (source_[seen_] != '\n') continue;
    ++line_;
    line_start_ = seen_ + 1;
  }
  return {line_, static_cast<uint32_t>(offset - line_start_ + 1)};
}

Token Lexer::make(TokenKind kind, size_t from, size_t to) {
  return {kind, source_.substr(from, to - from), from, position(from), spaced_};
}

Token Lexer::next() {
  if (!inside_) return text();
  if (!pending_open_) return inside();
  pending_open_ = false;
  return make(TokenKind::open, open_, open_ + 2);
}

// The text up to the next action, or that action's opening.
Token Lexer::text() {
  for (;;) {
    const size_t from = next_;
    const size_t open = source_.find("{{", from);
    if (open == npos) {
      next_ = source_.size();
      return from == next_ ? make(TokenKind::end, from, from) : make(TokenKind::text, from, next_);
    }
    size_t to = open_ = open;
    next_ = open + 2;
    if (next_ + 1 < source_.size() && source_[next_] == '-' && is_blank(source_[next_ + 1])) {
      next_ += 2;
      while (to > from && is_blank(source_[to - 1])) --to;
    }
    if (!skip_comment(open)) inside_ = pending_open_ = true;
    if (to > from) return make(TokenKind::text, from, to);
    if (inside_) return next();
  }
}

// After `{{` or `{{- `: whether a comment stood there, which is then behind us.
bool Lexer::skip_comment(size_t open) {
  if (source_.substr(next_, 2) != "/*") return false;
  const size_t close = source_.find("*/", next_ + 2);
  if (close == npos) fail("unclosed comment", open);
  next_ = close + 2;
  const size_t length = closing_at(next_);
  if (length == 0) fail("a comment ends before its closing delimiter", open);
  next_ += length;
  while (length > 2 && next_ < source_.size() && is_blank(source_[next_])) ++next_;
  return true;
}

size_t Lexer::closing_at(size_t from) const {
  if (source_.substr(from, 2) == "}}") return 2;
  const bool trims = from < source_.size() && is_blank(source_[from]) && source_.substr(from + 1, 3) == "-}}";
  return trims ? 4 : 0;
}

size_t Lexer::end_of_word(size_t from) const {
  while (from < source_.size() && is_word(source_[from])) ++from;
  return from;
}

bool Lexer::terminated(size_t at) const {
  if (at >= source_.size()) return true;
  return is_blank(source_[at]) || std::string_view(".,|:()=").find(source_[at]) != npos ||
         closing_at(at) != 0;
}

Token Lexer::inside() {
  spaced_ = false;
  size_t closing = 0;
  while ((closing = closing_at(next_)) == 0 && next_ < source_.size() && is_blank(source_[next_])) {
    ++next_;
    spaced_ = true;
  }
  const size_t from = next_;
  if (closing != 0) {
    if (parentheses_ > 0) fail("unclosed left parenthesis", from);
    next_ += closing;
    const Token token = make(TokenKind::close, from, next_);
    while (closing > 2 && next_ < source_.size() && is_blank(source_[next_])) ++next_;
    inside_ = spaced_ = false;
    return token;
  }
  if (from == source_.size()) fail("unclosed action", from);
  const char c = source_[from];
  const char after = from + 1 < source_.size() ? source_[from + 1] : '\0';
  if (c == '"' || c == '`' || c == '\'') return quoted(c);
  if (is_digit(c) || ((c == '+' || c == '-' || c == '.') && is_digit(after)) ||
      ((c == '+' || c == '-') && after == '.')) {
    return number();
  }
  if (c == '.' || c == '$' || is_word(c)) {
    next_ = end_of_word(from + 1);
    if (!terminated(next_))
      fail(fmt::format("unexpected character behind {}", source_.substr(from, next_ - from)), next_);
    if (c == '$') return make(TokenKind::variable, from, next_);
    if (c != '.') return make(TokenKind::word, from, next_);
    return make(next_ == from + 1 ? TokenKind::dot : TokenKind::field, from, next_);
  }
  const auto one = [&](TokenKind kind, size_t length = 1) {
    next_ = from + length;
    return make(kind, from, next_);
  };
  switch (c) {
    case '|': return one(TokenKind::pipe);
    case ',': return one(TokenKind::comma);
    case '=': return one(TokenKind::assign);
    case '(': return ++parentheses_, one(TokenKind::left_paren);
    case ')':
      if (parentheses_ == 0) fail("unexpected right parenthesis", from);
      return --parentheses_, one(TokenKind::right_paren);
    case ':':
      if (after == '=') return one(TokenKind::declare, 2);
      break;
    default: break;
  }
  fail(fmt::format("unexpected '{}' in an action", c), from);
}

Token Lexer::quoted(char quote) {
  const size_t from = next_;
  const char* const unterminated = quote == '"'   ? "unterminated quoted string"
                                   : quote == '`' ? "unterminated raw string"
                                                  : "unterminated character constant";
  for (size_t at = from + 1; at < source_.size(); ++at) {
    if (quote != '`' && source_[at] == '\n') break;
    if (quote != '`' && source_[at] == '\\') {
      if (++at >= source_.size() || source_[at] == '\n') break;
      continue;
    }
    if (source_[at] != quote) continue;
    next_ = at + 1;
    return make(quote == '"'   ? TokenKind::quoted
                : quote == '`' ? TokenKind::raw
                               : TokenKind::number,
                from, next_);
  }
  fail(unterminated, from);
}

// Everything that could belong to a number; whether it is one, the parser says.
Token Lexer::number() {
  const size_t from = next_;
  size_t at = from + 1;
  const bool hexadecimal = source_.substr(from, 3).find_first_of("xX") != npos;
  for (; at < source_.size(); ++at) {
    const char c = source_[at];
    const bool exponent_sign =
        (c == '+' || c == '-') && std::string_view(hexadecimal ? "pP" : "eE").find(source_[at - 1]) != npos;
    if (!is_word(c) && c != '.' && !exponent_sign) break;
  }
  next_ = at;
  return make(TokenKind::number, from, next_);
}

}  // namespace hearth::gotmpl
