#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cli/history.h"
#include "cli/terminal.h"

namespace hearth {

// What a line being edited is and does, apart from any terminal: bytes in, text and cursor out. The text is
// always UTF-8: bytes that are not become U+FFFD.
class EditBuffer {
 public:
  enum class Event { none, redraw, clear_screen, submit, interrupt, end_of_file, suspend, edit };

  // `history` must outlive the buffer and stay as it is.
  explicit EditBuffer(const std::vector<std::string>& history)
      : history_(history), at_history_(history.size()) {}

  // One byte from the terminal.
  Event feed(char byte);

  const std::string& text() const noexcept { return text_; }
  size_t cursor() const noexcept { return cursor_; }  // byte offset, at a character border
  // Another text in place of this one, the cursor at its end.
  void replace(std::string_view text);
  void move_to_end() { cursor_ = text_.size(); }

 private:
  Event control(char byte);
  Event escape_done();
  Event continue_character(char byte);
  Event paste(char byte);
  Event insert(std::string_view bytes);
  Event erase(size_t from, size_t to);
  Event recall(int step);
  bool joins(size_t at) const;
  size_t before(size_t at) const;
  size_t after(size_t at) const;
  size_t word_before(size_t at) const;
  size_t word_after(size_t at) const;

  const std::vector<std::string>& history_;
  size_t at_history_;
  std::string draft_;  // what was being written before history was recalled
  std::string text_;
  size_t cursor_ = 0;
  std::string escape_;     // an escape sequence that is not complete
  std::string character_;  // a UTF-8 character that is not complete
  bool pasting_ = false, after_return_ = false;
};

// A text as rows of a terminal that is `columns` wide, and where the cursor stands. The prompt comes before
// the first line, the continuation before each further one. Control characters are shown as one harmless
// sign, a tab as four blanks.
struct LineLayout {
  std::vector<std::string> rows;
  size_t cursor_row = 0;
  uint32_t cursor_column = 0;
};
LineLayout lay_out(std::string_view prompt, std::string_view continuation, const std::string& text,
                   size_t cursor, uint32_t columns);

// Reads lines from the terminal with editing and history. The terminal is the editor's as long as it lives:
// between two lines, what is typed waits for the next.
class LineEditor {
 public:
  // `history` may be null; it must outlive the editor. Nothing is added to it here.
  explicit LineEditor(History* history, int in = 0, int out = 1)
      : history_(history), in_(in), out_(out), terminal_(in, out) {
    terminal_.answer();
  }

  struct Result {
    enum class Kind { line, interrupt, end_of_file } kind = Kind::line;
    std::string text;  // for an interrupt: what had been typed
  };
  // `placeholder` is shown in grey while the line is empty. A terminal that is gone is an end of file.
  Result read(std::string_view prompt, std::string_view placeholder);

 private:
  void draw(std::string_view prompt, std::string_view placeholder, const EditBuffer& buffer);
  void edit_outside(EditBuffer& buffer);
  EditBuffer::Event take(EditBuffer& buffer);
  bool fill();
  void write(std::string_view bytes) const;

  History* history_;
  int in_, out_;
  Terminal terminal_;
  std::string typed_;      // read and not yet used
  size_t cursor_row_ = 0;  // of the last drawing, rows below its first
};

}  // namespace hearth
