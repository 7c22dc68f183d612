#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cli/history.h"

namespace hearth {

// What a line being edited is and does, apart from any terminal: bytes in, text and cursor out.
class EditBuffer {
 public:
  enum class Event { none, redraw, clear_screen, submit, interrupt, end_of_file, suspend };

  explicit EditBuffer(const std::vector<std::string>& history)
      : history_(history), at_history_(history.size()) {}

  // One byte from the terminal.
  Event feed(char byte);

  const std::string& text() const noexcept { return text_; }
  size_t cursor() const noexcept { return cursor_; }  // byte offset, at a character border

 private:
  Event control(char byte);
  Event escape_done();
  Event insert(std::string_view bytes);
  Event erase(size_t from, size_t to);
  Event recall(int step);
  size_t before(size_t at) const;
  size_t after(size_t at) const;
  size_t word_before(size_t at) const;
  size_t word_after(size_t at) const;

  const std::vector<std::string>& history_;
  size_t at_history_;
  std::string draft_;  // what was being written before history was recalled
  std::string text_;
  size_t cursor_ = 0;
  std::string escape_;  // an escape sequence that is not complete
  bool pasting_ = false;
};

// Reads lines from the terminal with editing and history. The terminal's settings are restored after each
// line.
class LineEditor {
 public:
  explicit LineEditor(History* history, int in = 0, int out = 1) : history_(history), in_(in), out_(out) {}

  struct Result {
    enum class Kind { line, interrupt, end_of_file } kind = Kind::line;
    std::string text;
  };
  // `placeholder` is shown in grey while the line is empty.
  Result read(std::string_view prompt, std::string_view placeholder);

 private:
  void draw(std::string_view prompt, std::string_view placeholder, const EditBuffer& buffer);
  void write(std::string_view bytes) const;

  History* history_;
  int in_, out_;
  uint32_t cursor_row_ = 0;  // of the last drawing, rows below the prompt's
};

}  // namespace hearth
