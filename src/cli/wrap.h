#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hearth {

// Columns of the terminal behind a descriptor; 0 if it is none.
uint32_t terminal_width(int fd);

// Columns that a UTF-8 text takes on a terminal (wide characters count two, combining marks none).
uint32_t display_width(std::string_view text);

// The character that a text begins with: its bytes, its columns, and whether it is UTF-8 at all. A byte that
// is not is a character of its own, one column wide. The text must not be empty.
struct Character {
  std::string_view bytes;
  uint32_t columns = 0;
  bool valid = true;
};
Character first_character(std::string_view text);

// The text without control characters except newline and tab: what a model writes must not steer the terminal
// (move the cursor, change the title, reach the clipboard).
std::string printable(std::string_view text);

// Breaks a text that comes in pieces at words, five columns before the edge; wide characters break anywhere.
// Width 0 passes everything through.
class WordWrap {
 public:
  explicit WordWrap(uint32_t terminal) : limit_(terminal > 20 ? terminal - 5 : 0) {}

  // What may be printed now; the word at the end is held back until it is complete or as long as a line.
  std::string push(std::string_view text);
  std::string flush();

 private:
  void add(std::string& out, const Character& character);
  void end_word(std::string& out);

  uint32_t limit_, column_ = 0;
  std::string word_, gap_;  // the blanks before the word
  uint32_t word_columns_ = 0;
  bool continues_ = false;  // the word's beginning is printed: it was longer than a line and is not broken
  std::string cut_;         // a character whose last bytes are still to come
};

}  // namespace hearth
