#pragma once

#include <cstdint>
#include <string>

namespace hearth {

// Columns of the terminal behind a descriptor; 0 if it is none.
uint32_t terminal_width(int fd);

// Columns that a UTF-8 text takes on a terminal (wide characters count two).
uint32_t display_width(const std::string& text);

// Breaks a text that comes in pieces at words, five columns before the edge. Width 0 passes everything
// through.
class WordWrap {
 public:
  explicit WordWrap(uint32_t terminal) : limit_(terminal > 20 ? terminal - 5 : 0) {}

  // What may be printed now; the word at the end is held back until it is complete.
  std::string push(const std::string& text);
  std::string flush();

 private:
  void end_word(std::string& out);

  uint32_t limit_, column_ = 0;
  std::string word_, gap_;  // the blanks before the word
};

}  // namespace hearth
