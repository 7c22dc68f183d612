#include "cli/line_editor.h"

#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "cli/wrap.h"

namespace hearth {
namespace {

constexpr char ctrl(char letter) { return static_cast<char>(letter & 0x1f); }
constexpr char escape_byte = 27, delete_byte = 127;

bool continues(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; }

// Raw input while a line is read; the former settings come back whatever happens.
class RawTerminal {
 public:
  RawTerminal(int in, int out) : in_(in), out_(out) { enter(); }
  ~RawTerminal() { leave(); }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

  void enter() {
    active_ = ::tcgetattr(in_, &before_) == 0;
    if (!active_) return;
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG | IEXTEN);
    raw.c_iflag &= ~static_cast<tcflag_t>(IXON | ICRNL);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    ::tcsetattr(in_, TCSADRAIN, &raw);
    put("\x1b[?2004h");
  }
  void leave() {
    if (!active_) return;
    put("\x1b[?2004l");
    ::tcsetattr(in_, TCSADRAIN, &before_);
    active_ = false;
  }

 private:
  void put(std::string_view bytes) const {
    if (::write(out_, bytes.data(), bytes.size()) < 0)
      return;  // a terminal that is gone is noticed when reading
  }
  int in_, out_;
  termios before_{};
  bool active_ = false;
};

}  // namespace

size_t EditBuffer::before(size_t at) const {
  if (at == 0) return 0;
  do --at;
  while (at > 0 && continues(text_[at]));
  return at;
}

size_t EditBuffer::after(size_t at) const {
  if (at >= text_.size()) return text_.size();
  do ++at;
  while (at < text_.size() && continues(text_[at]));
  return at;
}

size_t EditBuffer::word_before(size_t at) const {
  while (at > 0 && text_[at - 1] == ' ') --at;
  while (at > 0 && text_[at - 1] != ' ') --at;
  return at;
}

size_t EditBuffer::word_after(size_t at) const {
  while (at < text_.size() && text_[at] == ' ') ++at;
  while (at < text_.size() && text_[at] != ' ') ++at;
  return at;
}

EditBuffer::Event EditBuffer::insert(std::string_view bytes) {
  text_.insert(cursor_, bytes);
  cursor_ += bytes.size();
  return Event::redraw;
}

EditBuffer::Event EditBuffer::erase(size_t from, size_t to) {
  text_.erase(from, to - from);
  cursor_ = from;
  return Event::redraw;
}

EditBuffer::Event EditBuffer::recall(int step) {
  const size_t wanted = at_history_ + static_cast<size_t>(static_cast<ptrdiff_t>(step));
  if (step < 0 ? at_history_ == 0 : at_history_ >= history_.size()) return Event::none;
  if (at_history_ == history_.size()) draft_ = text_;
  at_history_ = wanted;
  text_ = at_history_ == history_.size() ? draft_ : history_[at_history_];
  cursor_ = text_.size();
  return Event::redraw;
}

EditBuffer::Event EditBuffer::feed(char byte) {
  if (!escape_.empty()) {
    escape_ += byte;
    const bool sequence = escape_.size() > 1 && (escape_[1] == '[' || escape_[1] == 'O');
    const bool complete = sequence ? escape_.size() > 2 && byte >= 0x40 && byte != '[' : escape_.size() == 2;
    if (!complete && escape_.size() < 16) return Event::none;
    return escape_done();
  }
  if (byte == escape_byte) {
    escape_ = byte;
    return Event::none;
  }
  if (pasting_) return insert(byte == '\r' ? "\n" : std::string_view(&byte, 1));
  if (static_cast<unsigned char>(byte) < 32 || byte == delete_byte) return control(byte);
  return insert({&byte, 1});
}

EditBuffer::Event EditBuffer::control(char byte) {
  switch (byte) {
    case '\r': return Event::submit;
    case ctrl('J'): return insert("\n");
    case ctrl('A'): cursor_ = 0; return Event::redraw;
    case ctrl('E'): cursor_ = text_.size(); return Event::redraw;
    case ctrl('B'): cursor_ = before(cursor_); return Event::redraw;
    case ctrl('F'): cursor_ = after(cursor_); return Event::redraw;
    case ctrl('H'):
    case delete_byte: return erase(before(cursor_), cursor_);
    case ctrl('K'): return erase(cursor_, text_.size());
    case ctrl('U'): return erase(0, cursor_);
    case ctrl('W'): return erase(word_before(cursor_), cursor_);
    case ctrl('L'): return Event::clear_screen;
    case ctrl('P'): return recall(-1);
    case ctrl('N'): return recall(1);
    case ctrl('C'): return Event::interrupt;
    case ctrl('D'):
      if (text_.empty()) return Event::end_of_file;
      return erase(cursor_, after(cursor_));
    case ctrl('Z'): return Event::suspend;
    case '\t': return insert(" ");
    default: return Event::none;
  }
}

EditBuffer::Event EditBuffer::escape_done() {
  const std::string sequence = escape_.substr(1);
  escape_.clear();
  if (sequence == "[200~" || sequence == "[201~") {
    pasting_ = sequence == "[200~";
    return Event::none;
  }
  if (sequence == "[A" || sequence == "OA") return recall(-1);
  if (sequence == "[B" || sequence == "OB") return recall(1);
  if (sequence == "[3~") return erase(cursor_, after(cursor_));
  if (sequence == "[D" || sequence == "OD") cursor_ = before(cursor_);
  if (sequence == "[C" || sequence == "OC") cursor_ = after(cursor_);
  if (sequence == "[H" || sequence == "OH" || sequence == "[1~") cursor_ = 0;
  if (sequence == "[F" || sequence == "OF" || sequence == "[4~") cursor_ = text_.size();
  if (sequence == "b" || sequence == "[1;5D") cursor_ = word_before(cursor_);
  if (sequence == "f" || sequence == "[1;5C") cursor_ = word_after(cursor_);
  return Event::redraw;
}

void LineEditor::write(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t n = ::write(out_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

// Redraws from the prompt on: back to its row, clear what is below, print, put the cursor where it belongs.
// Rows are counted from display widths, so wrapped lines and wide characters stay in place.
void LineEditor::draw(std::string_view prompt, std::string_view placeholder, const EditBuffer& buffer) {
  const uint32_t columns = std::max(1U, terminal_width(out_) == 0 ? 80U : terminal_width(out_));
  const auto rows_and_column = [&](const std::string& text) {
    uint32_t row = 0, column = display_width(std::string(prompt));
    for (size_t at = 0; at <= text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size());
      column += display_width(text.substr(at, end - at));
      row += column / columns;
      column %= columns;
      if (end == text.size()) break;
      ++row;
      column = 0;
      at = end + 1;
    }
    return std::pair(row, column);
  };
  std::string out = cursor_row_ > 0 ? "\x1b[" + std::to_string(cursor_row_) + "A\r" : "\r";
  out += "\x1b[J" + std::string(prompt);
  std::string shown;
  for (const char c : buffer.text()) shown += c == '\n' ? "\r\n" : std::string(1, c);
  out += shown;
  if (buffer.text().empty() && !placeholder.empty()) {
    out += "\x1b[90m" + std::string(placeholder) + "\x1b[0m";
    out += "\x1b[" + std::to_string(display_width(std::string(placeholder))) + "D";
  } else {
    const auto [end_row, end_column] = rows_and_column(buffer.text());
    const auto [row, column] = rows_and_column(buffer.text().substr(0, buffer.cursor()));
    if (end_column == 0 && end_row > 0 && buffer.text().back() != '\n')
      out += " \r";  // the terminal wraps late
    if (end_row > row) out += "\x1b[" + std::to_string(end_row - row) + "A";
    out += "\r";
    if (column > 0) out += "\x1b[" + std::to_string(column) + "C";
    cursor_row_ = row;
  }
  if (buffer.text().empty()) cursor_row_ = 0;
  write(out);
}

LineEditor::Result LineEditor::read(std::string_view prompt, std::string_view placeholder) {
  static const std::vector<std::string> none;
  RawTerminal terminal(in_, out_);
  EditBuffer buffer(history_ != nullptr ? history_->entries() : none);
  cursor_row_ = 0;
  draw(prompt, placeholder, buffer);
  for (;;) {
    char byte = 0;
    const ssize_t got = ::read(in_, &byte, 1);
    if (got < 0 && errno == EINTR) {
      draw(prompt, placeholder, buffer);
      continue;
    }
    const EditBuffer::Event event = got <= 0 ? EditBuffer::Event::end_of_file : buffer.feed(byte);
    switch (event) {
      case EditBuffer::Event::none: break;
      case EditBuffer::Event::clear_screen:
        write("\x1b[2J\x1b[H");
        cursor_row_ = 0;
        [[fallthrough]];
      case EditBuffer::Event::redraw: draw(prompt, placeholder, buffer); break;
      case EditBuffer::Event::suspend:
        terminal.leave();
        ::kill(0, SIGTSTP);
        terminal.enter();
        draw(prompt, placeholder, buffer);
        break;
      case EditBuffer::Event::submit: write("\x1b[J\r\n"); return {Result::Kind::line, buffer.text()};
      case EditBuffer::Event::interrupt: write("\x1b[J\r\n"); return {Result::Kind::interrupt, buffer.text()};
      case EditBuffer::Event::end_of_file:
        write("\x1b[J\r\n");
        return {Result::Kind::end_of_file, buffer.text()};
    }
  }
}

}  // namespace hearth
