#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "text/tokenizer/pretokenizer_table.h"

namespace hearth::text {

// Cuts texts as a Pretokenization says. Immutable: any number of threads may use one.
class Pretokenizer {
 public:
  explicit Pretokenizer(const Pretokenization& how);
  ~Pretokenizer();
  Pretokenizer(Pretokenizer&&) noexcept;

  // Where each piece of the text ends, ascending; the last end is text.size(). The text must be valid UTF-8.
  // The pieces are never empty; an empty text has none. Takes time in proportion to the text.
  void cut(std::string_view text, std::vector<uint32_t>& ends) const;

 private:
  class Cutter;
  class ExpressionCutter;
  class SpaceRunCutter;
  class TrailingSpaceCutter;
  class ThreesCutter;

  std::vector<std::unique_ptr<const Cutter>> cutters_;
};

}  // namespace hearth::text
