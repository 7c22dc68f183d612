#include <algorithm>

#include "text/template/jinja/lexer.h"
#include "text/template/unicode.h"

namespace hearth::tmpl::jinja {
namespace {

// Reads the escapes of a Python string literal.
class Unescaper {
 public:
  Unescaper(std::string_view literal, Position at) : text_(literal), place_(at) {}

  std::string run() {
    while (at_ < text_.size()) {
      const size_t escape = std::min(text_.find('\\', at_), text_.size());
      plain(text_.substr(at_, escape - at_));
      at_ = escape;
      if (at_ < text_.size()) sequence();
    }
    flush();
    return std::move(out_);
  }

 private:
  void plain(std::string_view piece) {
    if (piece.empty()) return;
    flush();
    out_ += piece;
  }

  void sequence() {
    const char c = at_ + 1 < text_.size() ? text_[at_ + 1] : '\\';
    at_ += 2;
    switch (c) {
      case '\n': return;
      case 'a': return point(0x07);
      case 'b': return point(0x08);
      case 'f': return point(0x0C);
      case 'n': return point('\n');
      case 'r': return point('\r');
      case 't': return point('\t');
      case 'v': return point(0x0B);
      case '\\':
      case '\'':
      case '"': return point(static_cast<unsigned char>(c));
      case 'x': return hex(2);
      case 'u': return hex(4);
      case 'U': return hex(8);
      case 'N': fail_syntax("named characters (\\N{...}) are not supported", place_);
      default: break;
    }
    if (c >= '0' && c <= '7') return octal(c);
    plain("\\");
    plain(std::string_view(&text_[at_ - 1], 1));
  }

  void hex(size_t digits) {
    uint64_t value = 0;
    for (size_t i = 0; i < digits; ++i, ++at_) {
      const char given = at_ < text_.size() ? text_[at_] : '\0';
      const char c = given >= 'A' && given <= 'F' ? static_cast<char>(given + ('a' - 'A')) : given;
      const bool decimal = c >= '0' && c <= '9';
      if (!decimal && (c < 'a' || c > 'f')) fail_syntax("truncated escape in a string", place_);
      value = value * 16 + static_cast<uint64_t>(decimal ? c - '0' : c - 'a' + 10);
    }
    if (value > 0x10FFFF) fail_syntax("an escape in a string is no character", place_);
    point(static_cast<char32_t>(value));
  }

  void octal(char first) {
    auto value = static_cast<char32_t>(first - '0');
    for (int i = 0; i < 2 && at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '7'; ++i, ++at_) {
      value = value * 8 + static_cast<char32_t>(text_[at_] - '0');
    }
    point(value);
  }

  // Halves of a surrogate pair are joined; a lonely half becomes U+FFFD.
  void point(char32_t value) {
    if (high_ && value >= 0xDC00 && value < 0xE000) {
      encode(0x10000 + ((high_ - 0xD800) << 10) + (value - 0xDC00), out_);
      high_ = 0;
      return;
    }
    flush();
    if (value >= 0xD800 && value < 0xDC00) {
      high_ = value;
    } else {
      encode(value, out_);
    }
  }

  void flush() {
    if (high_) encode(high_, out_);
    high_ = 0;
  }

  std::string_view text_;
  Position place_;
  size_t at_ = 0;
  char32_t high_ = 0;
  std::string out_;
};

}  // namespace

std::string unescape(std::string_view literal, Position at) { return Unescaper(literal, at).run(); }

}  // namespace hearth::tmpl::jinja
