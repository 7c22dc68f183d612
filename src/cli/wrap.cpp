#include "cli/wrap.h"

#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

namespace hearth {

uint32_t terminal_width(int fd) {
  winsize size{};
  return ::isatty(fd) != 0 && ::ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

uint32_t display_width(const std::string& text) {
  uint32_t width = 0;
  for (size_t at = 0; at < text.size();) {
    utf8proc_int32_t point = 0;
    const auto left = static_cast<utf8proc_ssize_t>(text.size() - at);
    const utf8proc_ssize_t bytes =
        utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data() + at), left, &point);
    width += bytes > 0 ? static_cast<uint32_t>(utf8proc_charwidth(point)) : 1;
    at += bytes > 0 ? static_cast<size_t>(bytes) : 1;
  }
  return width;
}

void WordWrap::end_word(std::string& out) {
  if (word_.empty()) return;
  const uint32_t width = display_width(word_);
  if (column_ > 0 && column_ + gap_.size() + width > limit_) {
    out += '\n';
    column_ = 0;
  } else {
    out += gap_;
    column_ += static_cast<uint32_t>(gap_.size());
  }
  out += word_;
  column_ += width;
  word_.clear();
  gap_.clear();
}

std::string WordWrap::push(const std::string& text) {
  if (limit_ == 0) return text;
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      end_word(out);
      out += '\n';
      gap_.clear();
      column_ = 0;
    } else if (c == ' ') {
      end_word(out);
      gap_ += c;
    } else {
      word_ += c;
    }
  }
  return out;
}

std::string WordWrap::flush() {
  std::string out;
  end_word(out);
  return out;
}

}  // namespace hearth
