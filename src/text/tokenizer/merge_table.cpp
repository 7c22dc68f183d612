#include "text/tokenizer/merge_table.h"

#include <bit>
#include <string>

namespace hearth::text {

MergeTable::MergeTable(size_t merges) : slots_(std::bit_ceil(merges * 2 + 2)) {}

uint32_t MergeTable::add_symbol(std::string_view text) {
  const uint32_t symbol = symbols_.add(text);
  if (symbol >= tokens_.size()) tokens_.resize(symbol + 1, kNoToken);
  return symbol;
}

void MergeTable::add_token(std::string_view text, TokenId token) { tokens_[add_symbol(text)] = token; }

void MergeTable::add_merge(std::string_view left, std::string_view right, uint32_t rank) {
  const uint32_t l = add_symbol(left), r = add_symbol(right);
  Slot& slot = slots_[place(l, r)];
  if (slot.left != kNoSymbol) return;
  slot = {l, r, rank, add_symbol(std::string(left).append(right))};
}

}  // namespace hearth::text
