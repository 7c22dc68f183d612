#include "worker/thinking.h"

#include <algorithm>

namespace hearth {

bool ThinkingBudget::forces() const {
  return !end_.empty() && (written_ > 0 || (left_ == 0 && reply_.thinking()));
}

void ThinkingBudget::mask(std::span<uint64_t> allowed) const {
  if (!forces()) {
    if (inner_ != nullptr) inner_->mask(allowed);
    return;
  }
  std::fill(allowed.begin(), allowed.end(), 0);
  const auto token = static_cast<size_t>(end_[written_].value);
  if (token / 64 < allowed.size()) allowed[token / 64] |= uint64_t{1} << (token % 64);
}

void ThinkingBudget::accept(TokenId token) {
  if (forces()) {
    written_ = (written_ + 1) % end_.size();
  } else if (left_ > 0 && reply_.thinking()) {
    --left_;
  }
  if (inner_ != nullptr) inner_->accept(token);
}

std::vector<TokenId> thinking_end(const OutputFormat& format, bool calls, const Tokenizer& tokenizer) {
  return tokenizer.encode(format.thinking_end(calls), {false, true});
}

}  // namespace hearth
