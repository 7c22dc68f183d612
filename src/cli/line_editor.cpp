#include "cli/line_editor.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <initializer_list>
#include <utility>

#include "base/error.h"
#include "cli/editor.h"
#include "cli/wrap.h"

namespace hearth {
namespace {

constexpr char ctrl(char letter) { return static_cast<char>(letter & 0x1f); }
constexpr char escape_byte = 27, delete_byte = 127;
constexpr std::string_view replacement = "\xef\xbf\xbd";  // U+FFFD
constexpr std::string_view continuation = "... ";

bool continues(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; }
bool is_control(char byte) { return static_cast<unsigned char>(byte) < 32 || byte == delete_byte; }
bool is_blank(char byte) { return byte == ' ' || byte == '\n' || byte == '\t'; }

// Bytes of the character that begins with this one; 0 if none does.
size_t character_size(char first) {
  const auto byte = static_cast<unsigned char>(first);
  return byte < 0x80 ? 1 : byte < 0xc2 ? 0 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : byte < 0xf5 ? 4 : 0;
}

}  // namespace

void EditBuffer::replace(std::string_view text) {
  text_.clear();
  while (!text.empty()) {
    const Character c = first_character(text);
    text_ += c.valid ? c.bytes : replacement;
    text.remove_prefix(c.bytes.size());
  }
  cursor_ = text_.size();
}

// A mark that combines with what is before it is no place for the cursor.
bool EditBuffer::joins(size_t at) const {
  return at < text_.size() && !is_control(text_[at]) &&
         first_character(std::string_view(text_).substr(at)).columns == 0;
}

size_t EditBuffer::before(size_t at) const {
  if (at == 0) return 0;
  do --at;
  while (at > 0 && (continues(text_[at]) || joins(at)));
  return at;
}

size_t EditBuffer::after(size_t at) const {
  if (at >= text_.size()) return text_.size();
  do ++at;
  while (at < text_.size() && (continues(text_[at]) || joins(at)));
  return at;
}

size_t EditBuffer::word_before(size_t at) const {
  while (at > 0 && is_blank(text_[at - 1])) --at;
  while (at > 0 && !is_blank(text_[at - 1])) --at;
  return at;
}

size_t EditBuffer::word_after(size_t at) const {
  while (at < text_.size() && is_blank(text_[at])) ++at;
  while (at < text_.size() && !is_blank(text_[at])) ++at;
  return at;
}

EditBuffer::Event EditBuffer::insert(std::string_view bytes) {
  text_.insert(text_.begin() + static_cast<ptrdiff_t>(cursor_), bytes.begin(), bytes.end());
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
    if (byte == escape_byte) {  // the former was a key of its own
      escape_ = byte;
      return Event::none;
    }
    escape_ += byte;
    const bool sequence = escape_.size() > 1 && (escape_[1] == '[' || escape_[1] == 'O');
    const bool complete = sequence ? escape_.size() > 2 && byte >= 0x40 && byte != '[' : escape_.size() == 2;
    constexpr size_t longest_escape = 16;
    return complete || escape_.size() >= longest_escape ? escape_done() : Event::none;
  }
  if (!character_.empty()) return continue_character(byte);
  if (byte == escape_byte) {
    escape_ = byte;
    return Event::none;
  }
  if (pasting_) return paste(byte);
  if (is_control(byte)) return control(byte);
  if (character_size(byte) == 1) return insert({&byte, 1});
  if (character_size(byte) == 0) return insert(replacement);
  character_ = byte;
  return Event::none;
}

EditBuffer::Event EditBuffer::continue_character(char byte) {
  if (!continues(byte)) {
    character_.clear();
    insert(replacement);
    const Event event = feed(byte);
    return event == Event::none ? Event::redraw : event;
  }
  character_ += byte;
  if (character_.size() < character_size(character_[0])) return Event::none;
  const std::string whole = std::exchange(character_, {});
  return insert(first_character(whole).valid ? std::string_view(whole) : replacement);
}

// Lines of a paste end in a carriage return, a newline or both. Other control characters are left out.
EditBuffer::Event EditBuffer::paste(char byte) {
  const bool second_half = byte == '\n' && after_return_;
  after_return_ = byte == '\r';
  if (second_half) return Event::none;
  if (byte == '\r' || byte == '\n') return insert("\n");
  if (byte == '\t') return insert("\t");
  if (is_control(byte)) return Event::none;
  if (character_size(byte) == 1) return insert({&byte, 1});
  if (character_size(byte) == 0) return insert(replacement);
  character_ = byte;
  return Event::none;
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
    case ctrl('G'): return Event::edit;
    case '\t': return insert(" ");
    default: return Event::none;
  }
}

EditBuffer::Event EditBuffer::escape_done() {
  const std::string sequence = escape_.substr(1);
  escape_.clear();
  if (sequence == "[201~") {
    pasting_ = false;
    return Event::none;
  }
  if (pasting_) return Event::none;  // nothing that is pasted moves the cursor
  if (sequence == "[200~") {
    pasting_ = true;
    after_return_ = false;
    return Event::none;
  }
  const auto is_one_of = [&](std::initializer_list<std::string_view> all) {
    return std::find(all.begin(), all.end(), sequence) != all.end();
  };
  if (is_one_of({"[A", "OA"})) return recall(-1);
  if (is_one_of({"[B", "OB"})) return recall(1);
  if (is_one_of({"[3~"})) return erase(cursor_, after(cursor_));
  if (is_one_of({"\x7f", "\x08"})) return erase(word_before(cursor_), cursor_);
  if (is_one_of({"d"})) return erase(cursor_, word_after(cursor_));
  if (is_one_of({"\r", "\n"})) return insert("\n");
  if (is_one_of({"[D", "OD"})) cursor_ = before(cursor_);
  if (is_one_of({"[C", "OC"})) cursor_ = after(cursor_);
  if (is_one_of({"[H", "OH", "[1~", "[7~"})) cursor_ = 0;
  if (is_one_of({"[F", "OF", "[4~", "[8~"})) cursor_ = text_.size();
  if (is_one_of({"b", "[1;5D", "[1;3D"})) cursor_ = word_before(cursor_);
  if (is_one_of({"f", "[1;5C", "[1;3C"})) cursor_ = word_after(cursor_);
  return Event::redraw;
}

LineLayout lay_out(std::string_view prompt, std::string_view next_prompt, const std::string& text,
                   size_t cursor, uint32_t columns) {
  LineLayout out{{std::string(prompt)}, 0, 0};
  uint32_t column = display_width(prompt);
  const auto new_row = [&](std::string_view begin) {
    out.rows.emplace_back(begin);
    column = display_width(begin);
  };
  for (size_t at = 0;;) {
    const bool here = at == cursor;
    const Character c = at < text.size() ? first_character(std::string_view(text).substr(at)) : Character{};
    const bool newline = c.bytes == "\n";
    const bool tab = c.bytes == "\t";
    const bool odd = !c.bytes.empty() && !newline && !tab && (!c.valid || printable(c.bytes).empty());
    const uint32_t width = tab ? 4 : odd ? 1 : c.columns;
    // The cursor needs a column of its own, so a full row is followed by another.
    if (column + width > columns || (here && column >= columns)) new_row("");
    if (here) out.cursor_row = out.rows.size() - 1;
    if (here) out.cursor_column = column;
    if (at >= text.size()) return out;
    if (newline) {
      new_row(next_prompt);
    } else {
      out.rows.back() += tab ? std::string_view("    ") : odd ? replacement : c.bytes;
      column += width;
    }
    at += c.bytes.size();
  }
}

bool LineEditor::fill() {
  char bytes[4096];
  ssize_t got = 0;
  do {
    got = ::read(in_, bytes, sizeof bytes);
  } while (got < 0 && errno == EINTR);
  if (got > 0) typed_.assign(bytes, static_cast<size_t>(got));
  return got > 0;
}

void LineEditor::write(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t n = ::write(out_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

// Back to the first row of the last drawing, clear what is below, print, put the cursor where it belongs.
// Rows are broken here and not by the terminal, so the cursor's way is known; a text higher than the screen
// shows the part that ends at the cursor.
void LineEditor::draw(std::string_view prompt, std::string_view placeholder, const EditBuffer& buffer) {
  const Terminal::Size size = terminal_.size();
  LineLayout layout = lay_out(prompt, continuation, buffer.text(), buffer.cursor(), size.columns);
  if (buffer.text().empty() && display_width(prompt) + display_width(placeholder) < size.columns) {
    layout.rows.back() += fmt::format("\x1b[90m{}\x1b[0m", placeholder);
  }
  const size_t first = layout.cursor_row >= size.rows ? layout.cursor_row - size.rows + 1 : 0;
  const size_t last = std::min<size_t>(layout.rows.size(), first + size.rows) - 1;
  const auto move = [](size_t by, char direction) {
    return by > 0 ? fmt::format("\x1b[{}{}", by, direction) : std::string();
  };
  std::string out = move(cursor_row_, 'A');
  out += "\r\x1b[J";
  for (size_t row = first; row <= last; ++row) out.append(row > first ? "\r\n" : "").append(layout.rows[row]);
  out.append(move(last - layout.cursor_row, 'A')).append("\r").append(move(layout.cursor_column, 'C'));
  cursor_row_ = layout.cursor_row - first;
  write(out);
}

// Feeds what was typed until something other than the text changes; a paste is drawn once, not per byte.
EditBuffer::Event LineEditor::take(EditBuffer& buffer) {
  using Event = EditBuffer::Event;
  if (typed_.empty() && !fill()) return Event::end_of_file;
  Event result = Event::none;
  size_t used = 0;
  while (used < typed_.size()) {
    const Event event = buffer.feed(typed_[used++]);
    if (event == Event::none) continue;
    result = event;
    if (event != Event::redraw) break;
  }
  typed_.erase(0, used);
  return result;
}

// The editor has the terminal to itself as the shell would give it.
void LineEditor::edit_outside(EditBuffer& buffer) {
  terminal_.restore();
  try {
    buffer.replace(edit_in_program(buffer.text()));
  } catch (const Error& e) {
    write(fmt::format("\r\n{}\r\n", e.what()));
    cursor_row_ = 0;
  }
  terminal_.edit();
}

LineEditor::Result LineEditor::read(std::string_view prompt, std::string_view placeholder) {
  using Event = EditBuffer::Event;
  static const std::vector<std::string> none;
  EditBuffer buffer(history_ != nullptr ? history_->entries() : none);
  cursor_row_ = 0;
  terminal_.edit();
  draw(prompt, placeholder, buffer);
  for (;;) {
    const Event event = take(buffer);
    if (event == Event::none) continue;
    if (event == Event::clear_screen) {
      write("\x1b[2J\x1b[H");
      cursor_row_ = 0;
    }
    if (event == Event::suspend) {
      terminal_.restore();
      ::kill(0, SIGTSTP);  // the whole job: the worker process too
      terminal_.edit();
    }
    if (event == Event::edit) edit_outside(buffer);
    if (event == Event::redraw || event == Event::clear_screen || event == Event::suspend ||
        event == Event::edit) {
      draw(prompt, placeholder, buffer);
      continue;
    }
    buffer.move_to_end();  // what was typed stays visible as a whole above what follows
    draw(prompt, "", buffer);
    write("\r\n");
    terminal_.answer();
    const auto kind = event == Event::submit      ? Result::Kind::line
                      : event == Event::interrupt ? Result::Kind::interrupt
                                                  : Result::Kind::end_of_file;
    return {kind, buffer.text()};
  }
}

}  // namespace hearth
