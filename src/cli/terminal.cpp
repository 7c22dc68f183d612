#include "cli/terminal.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cstring>

namespace hearth {
namespace {

constexpr const char* paste_on = "\x1b[?2004h";
constexpr const char* paste_off = "\x1b[?2004l";

// What a signal handler needs to put things back: the settings of the one terminal in use.
struct Former {
  volatile sig_atomic_t held = 0;
  int in = -1, out = -1;
  termios settings{};
};
Former former;

void put(int out, const char* bytes) {
  if (::write(out, bytes, std::strlen(bytes)) < 0) return;  // a terminal that is gone is noticed when reading
}

void put_back() {
  if (former.held == 0) return;
  put(former.out, paste_off);
  ::tcsetattr(former.in, TCSADRAIN, &former.settings);
}

void on_end(int signal) {
  put_back();
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

}  // namespace

Terminal::Terminal(int in, int out) : in_(in), out_(out) {
  is_terminal_ = ::tcgetattr(in, &former.settings) == 0;
  if (!is_terminal_) return;
  former.in = in;
  former.out = out;
  former.held = 1;
  for (const int signal : {SIGTERM, SIGHUP}) {
    struct sigaction action {};
    action.sa_handler = on_end;
    ::sigaction(signal, &action, nullptr);
  }
}

Terminal::~Terminal() {
  if (!is_terminal_) return;
  restore();
  former.held = 0;
  for (const int signal : {SIGTERM, SIGHUP}) ::signal(signal, SIG_DFL);
}

void Terminal::apply(bool signals, const char* paste) {
  if (!is_terminal_) return;
  termios raw = former.settings;
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | IEXTEN | (signals ? 0 : ISIG));
  raw.c_iflag &= ~static_cast<tcflag_t>(IXON | ICRNL);  // Enter stays apart from Ctrl-J
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  ::tcsetattr(in_, TCSADRAIN, &raw);
  put(out_, paste);
}

void Terminal::edit() { apply(false, paste_on); }

void Terminal::answer() { apply(true, paste_off); }

void Terminal::restore() {
  if (is_terminal_) put_back();
}

Terminal::Size Terminal::size() const {
  Size size;
  winsize window{};
  if (::ioctl(out_, TIOCGWINSZ, &window) != 0) return size;
  if (window.ws_col > 0) size.columns = window.ws_col;
  if (window.ws_row > 0) size.rows = window.ws_row;
  return size;
}

}  // namespace hearth
