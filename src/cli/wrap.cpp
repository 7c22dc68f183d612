#include "cli/wrap.h"

#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

#include <algorithm>

namespace hearth {

uint32_t terminal_width(int fd) {
  winsize size{};
  return ::isatty(fd) != 0 && ::ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

Character first_character(std::string_view text) {
  utf8proc_int32_t point = 0;
  const utf8proc_ssize_t bytes =
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                       static_cast<utf8proc_ssize_t>(std::min<size_t>(text.size(), 4)), &point);
  if (bytes <= 0) return {text.substr(0, 1), 1, false};
  return {text.substr(0, static_cast<size_t>(bytes)), static_cast<uint32_t>(utf8proc_charwidth(point)), true};
}

uint32_t display_width(std::string_view text) {
  uint32_t width = 0;
  while (!text.empty()) {
    const Character c = first_character(text);
    width += c.columns;
    text.remove_prefix(c.bytes.size());
  }
  return width;
}

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Character c = first_character(text);
    const auto byte = static_cast<unsigned char>(c.bytes[0]);
    const bool c0 = byte < 32 || byte == 127;
    const bool c1 = c.bytes.size() == 2 && byte == 0xc2 && static_cast<unsigned char>(c.bytes[1]) < 0xa0;
    if (byte == '\n' || byte == '\t' || (!c0 && !c1 && c.valid)) {
      out += c.bytes;
    } else if (!c.valid) {
      out += "\xef\xbf\xbd";  // U+FFFD; a lone byte could be a control character in another encoding
    }
    text.remove_prefix(c.bytes.size());
  }
  return out;
}

void WordWrap::end_word(std::string& out) {
  if (word_.empty()) return;
  uint32_t gap = 0;
  for (const char blank : gap_) gap = blank == '\t' ? ((column_ + gap) / 8 + 1) * 8 - column_ : gap + 1;
  if (column_ > 0 && !continues_ && column_ + gap + word_columns_ > limit_) {
    out += '\n';
    column_ = 0;
  } else {
    out += gap_;
    column_ += gap;
  }
  out += word_;
  column_ += word_columns_;
  word_.clear();
  word_columns_ = 0;
  gap_.clear();
  continues_ = false;
}

void WordWrap::add(std::string& out, const Character& character) {
  const char byte = character.bytes[0];
  if (byte == '\n') {
    end_word(out);
    out += '\n';
    gap_.clear();
    column_ = 0;
    continues_ = false;
  } else if (byte == ' ' || byte == '\t') {
    end_word(out);
    gap_ += byte;
    continues_ = false;
  } else {
    // Wide scripts put no blanks between words: each of their characters may begin a line.
    if (character.columns == 2) {
      end_word(out);
      continues_ = false;
    }
    word_ += character.bytes;
    word_columns_ += character.columns;
    if (word_columns_ < limit_) return;
    end_word(out);
    continues_ = true;
  }
}

std::string WordWrap::push(std::string_view text) {
  if (limit_ == 0) return std::string(text);
  std::string out;
  const std::string all = cut_ + std::string(text);
  cut_.clear();
  for (std::string_view rest = all; !rest.empty();) {
    const Character c = first_character(rest);
    const bool begins = (static_cast<unsigned char>(rest[0]) & 0xc0) == 0xc0;
    if (!c.valid && begins && rest.size() < 4) {
      cut_ = rest;
      break;
    }
    add(out, c);
    rest.remove_prefix(c.bytes.size());
  }
  return out;
}

std::string WordWrap::flush() {
  std::string out;
  for (const char byte : cut_) add(out, {{&byte, 1}, 1, false});
  cut_.clear();
  end_word(out);
  return out;
}

}  // namespace hearth
