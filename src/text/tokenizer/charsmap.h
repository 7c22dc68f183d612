#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace hearth::text {

// A precompiled character map (tokenizer.ggml.precompiled_charsmap): a double array of 32-bit units,
// little-endian, preceded by its size in bytes and followed by the replacements, each ended by a zero byte.
// Nothing in it is trusted: whatever leads outside is taken for "not there".
class CharacterMap {
 public:
  // Throws Error (`corrupt_file`) if the sizes cannot be right. No bytes: an empty map. Keeps a view of the
  // bytes.
  explicit CharacterMap(const std::vector<uint8_t>& bytes);

  struct Replacement {
    std::string_view text;
    size_t consumed = 0;  // bytes of the input that it stands for
  };

  // The replacement of the longest beginning of `text` that has one.
  std::optional<Replacement> longest(std::string_view text) const noexcept;

 private:
  std::optional<uint32_t> unit(size_t at) const noexcept;

  std::string_view units_, texts_;
};

}  // namespace hearth::text
