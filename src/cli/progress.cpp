#include "cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "cli/human.h"
#include "cli/wrap.h"

namespace hearth {
namespace {

constexpr std::array spinner{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"};

std::string repeated(const char* text, size_t times) {
  std::string out;
  for (size_t i = 0; i < times; ++i) out += text;
  return out;
}

std::string short_time(double seconds) {
  const auto s = static_cast<uint64_t>(std::clamp(seconds, 0.0, 359999.0));
  if (s >= 3600) return fmt::format("{}h{:02}m", s / 3600, s / 60 % 60);
  if (s >= 60) return fmt::format("{}m{:02}s", s / 60, s % 60);
  return fmt::format("{}s", s);
}

}  // namespace

ProgressView::ProgressView(int fd, bool terminal, uint32_t width)
    : fd_(fd), terminal_(terminal), width_(width) {
  if (width_ == 0) width_ = terminal ? terminal_width(fd) : 80;
  if (width_ == 0) width_ = 80;
}

ProgressView::~ProgressView() { finish(); }

void ProgressView::put(const std::string& text) const {
  for (size_t at = 0; at < text.size();) {
    const ssize_t n = ::write(fd_, text.data() + at, text.size() - at);
    if (n <= 0) return;
    at += static_cast<size_t>(n);
  }
}

void ProgressView::update(const std::string& status, uint64_t completed, uint64_t total) {
  if (total > 0 && completed == 0) return;
  const auto same = [&](const Line& l) { return l.status == status; };
  auto at = std::find_if(lines_.begin(), lines_.end(), same);
  if (at == lines_.end()) {
    // A new line ends the status before it.
    for (Line& l : lines_) l.done = l.done || l.total == 0;
    lines_.push_back({status, completed, total, completed, Clock::now(), status == "success"});
    at = lines_.end() - 1;
    if (!terminal_) put(status + "\n");
  }
  at->completed = completed;
  at->total = total;
  at->done = at->done || (total > 0 && completed >= total);
  constexpr auto pace = std::chrono::milliseconds(100);
  if (terminal_ && Clock::now() - last_draw_ >= pace) draw(false);
}

// "pulling 0123456789ab:  45% ▕███   ▏ 1.2 GB/3.4 GB  35 MB/s  1m05s"
std::string ProgressView::text_of(const Line& line) const {
  if (line.total == 0) return line.done ? line.status : line.status + " " + spinner[frame_ % spinner.size()];
  const uint64_t percent = std::min<uint64_t>(100, line.completed * 100 / line.total);
  const std::string front = fmt::format("{}: {:>3}% ▕", line.status, percent);
  std::string back = "▏ ";
  if (line.done) {
    back += human_bytes(line.total);
  } else {
    back += fmt::format("{}/{}", human_bytes(line.completed), human_bytes(line.total));
    const double seconds = std::chrono::duration<double>(Clock::now() - line.begin).count();
    const double rate = static_cast<double>(line.completed - std::min(line.first, line.completed)) / seconds;
    if (seconds > 1 && rate > 0) {
      back += fmt::format("  {}/s  {}", human_bytes(static_cast<uint64_t>(rate)),
                          short_time(static_cast<double>(line.total - line.completed) / rate));
    }
  }
  // Both ends hold one character of three bytes.
  const size_t taken = front.size() - 2 + std::max<size_t>(back.size() - 2, 36);
  const size_t room = width_ > taken + 4 ? std::min<size_t>(width_ - taken - 1, 60) : 4;
  const size_t filled = room * percent / 100;
  return front + repeated("█", filled) + std::string(room - filled, ' ') + back;
}

void ProgressView::draw(bool last) {
  last_draw_ = Clock::now();
  ++frame_;
  std::string out = drawn_ > 0 ? fmt::format("\x1b[{}A", drawn_) : "";
  for (Line& line : lines_) {
    if (last) line.done = true;
    out += "\r" + text_of(line) + "\x1b[K\n";
  }
  drawn_ = lines_.size();
  put(out);
}

void ProgressView::finish() {
  if (terminal_ && !lines_.empty()) draw(true);
  lines_.clear();
  drawn_ = 0;
}

}  // namespace hearth
