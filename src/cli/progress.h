#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace hearth {

// What a server reports while it works: lines of status, and bars of what is transferred. On a terminal they
// are redrawn ten times a second; elsewhere each status is printed once, without control codes.
class ProgressView {
 public:
  // `fd` is standard error's, in tests another one. `width` 0 = as wide as the terminal.
  explicit ProgressView(int fd, bool terminal, uint32_t width = 0);
  ProgressView(const ProgressView&) = delete;
  ProgressView& operator=(const ProgressView&) = delete;
  ~ProgressView();

  // One event of a pull, push or create. Those with a total are bars, one per status.
  void update(const std::string& status, uint64_t completed, uint64_t total);
  // Draws what there is for the last time, and leaves the cursor below it.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  struct Line {
    std::string status;
    uint64_t completed = 0, total = 0, first = 0;
    Clock::time_point begin;
    bool done = false;
  };
  void draw(bool last);
  std::string text_of(const Line& line) const;
  void put(const std::string& text) const;

  int fd_;
  bool terminal_;
  uint32_t width_;
  std::vector<Line> lines_;
  size_t drawn_ = 0;  // lines that stand on the screen
  uint32_t frame_ = 0;
  Clock::time_point last_draw_;
};

}  // namespace hearth
