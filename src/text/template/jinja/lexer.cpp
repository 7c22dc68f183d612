#include "text/template/jinja/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/multiprecision/cpp_int.hpp>

#include "text/template/unicode.h"

namespace hearth::tmpl::jinja {
namespace {

constexpr size_t longest_integer = 4300;  // digits, as in Python

bool is_digit_char(char c) { return c >= '0' && c <= '9'; }
bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit_char(c) || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

// Length of the white space at the start or at the end of a text.
size_t leading_space(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    size_t next = at;
    if (!is_space(decode(text, next))) break;
    at = next;
  }
  return at;
}

size_t trailing_space(std::string_view text) {
  size_t end = text.size();
  while (end > 0) {
    size_t start = end - 1;
    while (start > 0 && continues(text[start])) --start;
    size_t next = start;
    if (!is_space(decode(text, next)) || next != end) break;
    end = start;
  }
  return text.size() - end;
}

// Line ends become LF and the last one is dropped.
std::string normalized(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out += source[i];
    }
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalized(source)), text_(source_) {}

  std::vector<Token> run() {
    while (at_ < text_.size()) data();
    push(TokenKind::end, "");
    return std::move(tokens_);
  }

 private:
  // The place of at_; at_ never goes back.
  Position here() {
    for (; counted_ < at_; ++counted_) {
      if (text_[counted_] != '\n') continue;
      ++line_;
      line_start_ = counted_ + 1;
    }
    return {line_, static_cast<uint32_t>(at_ - line_start_ + 1)};
  }

  void push(TokenKind kind, std::string text) { tokens_.push_back({kind, std::move(text), here()}); }

  bool starts(std::string_view prefix) const { return text_.substr(at_, prefix.size()) == prefix; }

  char peek(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

  void skip_space() { at_ += leading_space(text_.substr(at_)); }

  // A tag ends: `-` eats the white space behind it, otherwise a block or comment eats one newline.
  void after_tag(char sign, bool eats_newline) {
    const size_t from = at_;
    if (sign == '-') {
      skip_space();
    } else if (sign == 0 && eats_newline && peek() == '\n') {
      ++at_;
    }
    at_line_start_ = at_ > from && text_[at_ - 1] == '\n';
  }

  // Literal text up to the next tag. `sign` is what follows the tag's opening.
  std::string_view strip(std::string_view literal, char sign, bool is_print) const {
    if (sign == '-') return literal.substr(0, literal.size() - trailing_space(literal));
    if (sign == '+' || is_print) return literal;
    const size_t newline = literal.rfind('\n');
    const size_t line = newline == std::string_view::npos ? 0 : newline + 1;
    if (line == 0 && !at_line_start_) return literal;
    return leading_space(literal.substr(line)) == literal.size() - line ? literal.substr(0, line) : literal;
  }

  void data() {
    size_t tag = text_.find('{', at_);
    while (tag != std::string_view::npos && tag + 1 < text_.size() && text_[tag + 1] != '{' &&
           text_[tag + 1] != '%' && text_[tag + 1] != '#') {
      tag = text_.find('{', tag + 1);
    }
    if (tag == std::string_view::npos || tag + 1 >= text_.size()) {
      push(TokenKind::data, std::string(text_.substr(at_)));
      at_ = text_.size();
      return;
    }
    const char type = text_[tag + 1];
    const char next = tag + 2 < text_.size() ? text_[tag + 2] : '\0';
    const char sign = next == '-' || next == '+' ? next : '\0';
    const std::string_view literal = strip(text_.substr(at_, tag - at_), sign, type == '{');
    if (!literal.empty()) push(TokenKind::data, std::string(literal));
    at_ = tag;
    const Position opening = here();
    at_ += sign ? 3 : 2;
    if (type == '#') return comment(opening);
    if (type == '%' && raw_begins()) return raw(opening);
    tokens_.push_back({type == '{' ? TokenKind::print_begin : TokenKind::block_begin, "", opening});
    code(type == '{');
  }

  void comment(Position opening) {
    const size_t end = text_.find("#}", at_);
    if (end == std::string_view::npos) fail_syntax("missing end of comment tag", opening);
    const char before = end > at_ ? text_[end - 1] : '\0';
    at_ = end + 2;
    after_tag(before == '-' || before == '+' ? before : '\0', true);
  }

  // Behind `{%`: moves behind `raw %}` if that is what follows.
  bool raw_begins() {
    size_t at = at_ + leading_space(text_.substr(at_));
    if (text_.substr(at, 3) != "raw") return false;
    at += 3;
    at += leading_space(text_.substr(at));
    const bool eats = text_.substr(at, 3) == "-%}";
    if (!eats && text_.substr(at, 2) != "%}") return false;
    at_ = at + (eats ? 3 : 2);
    after_tag(eats ? '-' : '\0', false);
    return true;
  }

  void raw(Position opening) {
    const size_t from = at_;
    if (from == text_.size()) return;
    for (size_t tag = text_.find("{%", from); tag != std::string_view::npos;
         tag = text_.find("{%", tag + 1)) {
      at_ = tag + 2;
      const char sign = peek() == '-' || peek() == '+' ? peek() : '\0';
      if (sign) ++at_;
      skip_space();
      if (!starts("endraw")) continue;
      at_ += 6;
      skip_space();
      const char closing = peek() == '-' || peek() == '+' ? peek() : '\0';
      if (closing) ++at_;
      if (!starts("%}")) continue;
      at_ += 2;
      const std::string_view literal = strip(text_.substr(from, tag - from), sign, false);
      if (!literal.empty()) push(TokenKind::data, std::string(literal));
      return after_tag(closing, true);
    }
    fail_syntax("missing end of raw directive", opening);
  }

  // The inside of `{{ }}` or `{% %}`.
  void code(bool is_print) {
    brackets_.clear();
    while (at_ < text_.size()) {
      if (brackets_.empty() && tag_ends(is_print)) return;
      if (const size_t space = leading_space(text_.substr(at_))) {
        at_ += space;
        continue;
      }
      const char c = peek();
      if (is_digit_char(c)) {
        number();
      } else if (is_name_char(c)) {
        name();
      } else if (c == '"' || c == '\'') {
        string(c);
      } else {
        op();
      }
    }
  }

  bool tag_ends(bool is_print) {
    const char sign = peek() == '-' || (peek() == '+' && !is_print) ? peek() : '\0';
    const std::string_view closing = is_print ? "}}" : "%}";
    if (text_.substr(std::min(at_ + (sign ? 1 : 0), text_.size()), 2) != closing) return false;
    push(is_print ? TokenKind::print_end : TokenKind::block_end, "");
    at_ += sign ? 3 : 2;
    after_tag(sign, !is_print);
    return true;
  }

  void name() {
    const size_t from = at_;
    while (is_name_char(peek())) ++at_;
    const size_t end = std::exchange(at_, from);
    push(TokenKind::name, std::string(text_.substr(from, end - from)));
    at_ = end;
  }

  void string(char quote) {
    const size_t from = at_;
    size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != quote) end += text_[end] == '\\' ? 2 : 1;
    if (end >= text_.size()) fail_syntax(fmt::format("unexpected char '{}'", quote), here());
    push(TokenKind::string, unescape(text_.substr(from + 1, end - from - 1), here()));
    at_ = end + 1;
  }

  // Digits with single underscores between them.
  size_t digits_from(size_t at, bool (*accepts)(char)) const {
    size_t end = at;
    while (end < text_.size() &&
           (accepts(text_[end]) ||
            (text_[end] == '_' && end > at && end + 1 < text_.size() && accepts(text_[end + 1])))) {
      ++end;
    }
    return end;
  }

  void number() {
    const size_t from = at_;
    if (prefixed()) return;
    size_t end = digits_from(from, is_digit_char);
    bool fraction = false;
    const bool after_dot = from > 0 && text_[from - 1] == '.';
    if (!after_dot) {
      if (end + 1 < text_.size() && text_[end] == '.' && is_digit_char(text_[end + 1])) {
        end = digits_from(end + 1, is_digit_char);
        fraction = true;
      }
      size_t exponent = end;
      if (exponent < text_.size() && (text_[exponent] == 'e' || text_[exponent] == 'E')) {
        ++exponent;
        if (exponent < text_.size() && (text_[exponent] == '+' || text_[exponent] == '-')) ++exponent;
        if (exponent < text_.size() && is_digit_char(text_[exponent])) {
          end = digits_from(exponent, is_digit_char);
          fraction = true;
        }
      }
    }
    // A number with zeros in front is two numbers, and so an error later.
    if (!fraction && text_[from] == '0') {
      end = from;
      while (end < text_.size() && text_[end] == '0') ++end;
    }
    std::string digits(text_.substr(from, end - from));
    digits.erase(std::remove(digits.begin(), digits.end(), '_'), digits.end());
    if (digits.size() > longest_integer) fail_syntax("a number with too many digits", here());
    push(fraction ? TokenKind::floating : TokenKind::integer, fraction ? digits : without_zeros(digits));
    at_ = end;
  }

  static std::string without_zeros(const std::string& digits) {
    const size_t first = digits.find_first_not_of('0');
    return first == std::string::npos ? "0" : digits.substr(first);
  }

  // 0x1f, 0o17, 0b11.
  bool prefixed() {
    if (peek() != '0') return false;
    const char base = static_cast<char>(peek(1) | 0x20);
    if (base != 'x' && base != 'o' && base != 'b') return false;
    const auto accepts =
        base == 'x'   ? +[](char c) { return is_digit_char(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); }
        : base == 'o' ? +[](char c) { return c >= '0' && c <= '7'; }
                      : +[](char c) { return c == '0' || c == '1'; };
    size_t from = at_ + 2;
    if (from < text_.size() && text_[from] == '_') ++from;
    const size_t end = digits_from(from, accepts);
    if (end == from) return false;
    if (end - from > longest_integer) fail_syntax("a number with too many digits", here());
    boost::multiprecision::cpp_int value = 0;
    const unsigned shift = base == 'x' ? 4 : base == 'o' ? 3 : 1;
    for (size_t i = from; i < end; ++i) {
      if (text_[i] == '_') continue;
      const char c = static_cast<char>(text_[i] | 0x20);
      value = (value << shift) + (is_digit_char(text_[i]) ? text_[i] - '0' : c - 'a' + 10);
    }
    push(TokenKind::integer, value.str());
    at_ = end;
    return true;
  }

  void op() {
    constexpr std::array<std::string_view, 26> spellings{"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                                         "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                                         ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};
    const auto* found =
        std::find_if(spellings.begin(), spellings.end(), [&](auto each) { return starts(each); });
    if (found == spellings.end()) fail_syntax(fmt::format("unexpected char '{}'", printable()), here());
    const std::string spelling(*found);
    if (spelling == "(" || spelling == "[" || spelling == "{") brackets_.push_back(spelling[0]);
    if (spelling == ")" || spelling == "]" || spelling == "}") close(spelling[0]);
    push(TokenKind::op, spelling);
    at_ += spelling.size();
  }

  void close(char bracket) {
    if (brackets_.empty()) fail_syntax(fmt::format("unexpected '{}'", bracket), here());
    const char opening = brackets_.back();
    const char expected = opening == '(' ? ')' : opening == '[' ? ']' : '}';
    if (bracket != expected) {
      fail_syntax(fmt::format("unexpected '{}', expected '{}'", bracket, expected), here());
    }
    brackets_.pop_back();
  }

  std::string printable() const {
    const char c = peek();
    return c >= 0x20 && c < 0x7F ? std::string(1, c)
                                 : fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }

  const std::string source_;
  const std::string_view text_;
  size_t at_ = 0;
  bool at_line_start_ = true;
  uint32_t line_ = 1;
  size_t line_start_ = 0;
  size_t counted_ = 0;
  std::vector<char> brackets_;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

std::string describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::data: return "template data / text";
    case TokenKind::print_begin: return "begin of print statement";
    case TokenKind::print_end: return "end of print statement";
    case TokenKind::block_begin: return "begin of statement block";
    case TokenKind::block_end: return "end of statement block";
    case TokenKind::end: return "end of template";
    case TokenKind::string: return "a string";
    default: return token.text;
  }
}

}  // namespace hearth::tmpl::jinja
