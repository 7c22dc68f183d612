#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::text {

// Numbers distinct texts 0, 1, 2 … in the order in which they are added, and finds them again. All text
// together stays below 4 GiB.
class TextIndex {
 public:
  static constexpr uint32_t none = UINT32_MAX;

  // The number of the text, new or old.
  uint32_t add(std::string_view text);
  uint32_t find(std::string_view text) const noexcept;
  std::string_view text(uint32_t number) const noexcept {
    return {bytes_.data() + begin_[number], size(number)};
  }
  size_t size() const noexcept { return begin_.empty() ? 0 : begin_.size() - 1; }
  size_t longest() const noexcept { return longest_; }

 private:
  struct Slot {
    uint32_t hash = 0;
    uint32_t number = none;
    uint32_t begin = 0;
    uint32_t size = 0;
  };

  uint32_t size(uint32_t number) const noexcept { return begin_[number + 1] - begin_[number]; }
  // The slot that holds the text, or the free one where it belongs.
  size_t place(std::string_view text, uint32_t hash) const noexcept;
  void grow();

  std::string bytes_;
  std::vector<uint32_t> begin_;  // [number], one more than there are texts
  std::vector<Slot> slots_;      // a power of two, at most half full
  size_t longest_ = 0;
};

}  // namespace hearth::text
