#pragma once

#include <termios.h>

#include <cstdint>

namespace hearth {

// A terminal that a session has to itself. Its former settings come back with the destructor and when SIGTERM
// or SIGHUP ends the process. One at a time. If `in` is no terminal, nothing is ever changed.
class Terminal {
 public:
  Terminal(int in, int out);
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  // Every key is for the line editor, Ctrl-C and Ctrl-Z too; pastes come in brackets.
  void edit();
  // Ctrl-C and Ctrl-Z are signals; what is typed is not echoed into the answer and waits unchanged for
  // edit().
  void answer();
  void restore();

  struct Size {
    uint32_t columns = 80, rows = 24;  // where the terminal does not say
  };
  Size size() const;

 private:
  void apply(bool signals, const char* paste);

  int in_, out_;
  bool is_terminal_ = false;
};

}  // namespace hearth
