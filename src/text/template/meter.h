#pragma once

#include <cstddef>
#include <cstdint>

#include "text/template/failure.h"

namespace hearth::tmpl {

// Counts what one rendering uses and stops it at its limits.
class Meter {
 public:
  explicit Meter(const RenderLimits& limits) : limits_(limits) {}
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;

  void step(uint64_t count = 1) {
    steps_ += count;
    if (steps_ > limits_.steps) fail_limit("steps", limits_.steps);
  }

  // Work on `bytes` of text: a step per cache line.
  void scan(size_t bytes) { step(bytes / 64); }

  void hold(size_t bytes) {
    held_ += bytes;
    if (held_ <= limits_.memory_bytes) return;
    held_ -= bytes;
    fail_limit("bytes of memory", limits_.memory_bytes);
  }
  void release(size_t bytes) noexcept { held_ -= bytes; }

  // Fails before an allocation that could never be held.
  void expect(size_t bytes) const {
    if (bytes > limits_.memory_bytes) fail_limit("bytes of memory", limits_.memory_bytes);
  }

  void output(size_t bytes) const {
    if (bytes > limits_.output_bytes) fail_limit("bytes of output", limits_.output_bytes);
  }

  // One level of nesting, for as long as it lives.
  class Level {
   public:
    explicit Level(Meter& meter) : meter_(meter) {
      if (++meter_.depth_ <= meter_.limits_.depth) return;
      --meter_.depth_;
      fail_limit("nested levels", meter_.limits_.depth);
    }
    ~Level() { --meter_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Meter& meter_;
  };

 private:
  [[noreturn]] static void fail_limit(const char* what, uint64_t limit);

  const RenderLimits limits_;
  uint64_t steps_ = 0;
  size_t held_ = 0;
  size_t depth_ = 0;
};

}  // namespace hearth::tmpl
