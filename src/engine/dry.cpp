#include "engine/dry.h"

#include <algorithm>
#include <utility>

#include "engine/sampler.h"

namespace hearth::sampling {
namespace {

constexpr double most_amount = 1e30;  // far below what a score can be; never −infinity, which would ban

}  // namespace

Dry::Dry(const SamplingOptions& o, uint32_t vocabulary)
    : multiplier_(o.dry_multiplier),
      base_(o.dry_base),
      allowed_(static_cast<uint32_t>(o.dry_allowed_length)),
      last_(o.dry_penalty_last_n < 0 ? 0 : static_cast<size_t>(o.dry_penalty_last_n)),
      breakers_(o.dry_breakers),
      longest_(vocabulary) {}

void Dry::add(TokenId token) {
  if (longest_.empty()) return;
  const bool known = token.value >= 0 && static_cast<size_t>(token.value) < longest_.size();
  // A bounded window moves through twice its length and then back to the front.
  if (last_ > 0 && history_.size() >= 2 * last_)
    history_.erase(history_.begin(), history_.end() - static_cast<std::ptrdiff_t>(last_));
  history_.push_back(known ? token.value : -1);
  if (matches_.size() < history_.size()) {
    matches_.resize(history_.capacity());
    found_.reserve(std::min(history_.capacity(), longest_.size()));
  }
}

bool Dry::breaks(int32_t token) const {
  if (token < 0) return true;
  const auto i = static_cast<size_t>(token);
  return breakers_ != nullptr && i / 64 < breakers_->size() && (((*breakers_)[i / 64] >> (i % 64)) & 1U) != 0;
}

// By squaring, not by a library's power function: the same with every compiler.
float Dry::amount(uint32_t length) const {
  double power = 1, square = base_;
  for (uint32_t n = length - allowed_; n > 0 && power < most_amount; n /= 2) {
    if (n % 2 == 1) power = std::min(power * square, most_amount);
    square = std::min(square * square, most_amount);
  }
  return static_cast<float>(std::min(power * static_cast<double>(multiplier_), most_amount));
}

// Tokens at the end that follow the last one that breaks sequences.
uint32_t Dry::unbroken(std::span<const int32_t> window) const {
  const auto broken = std::find_if(window.rbegin(), window.rend(), [this](int32_t t) { return breaks(t); });
  return static_cast<uint32_t>(broken - window.rbegin());
}

// matches_[i]: how many tokens before the last i ones are like those at the end, at most `most`. The
// Z-algorithm (Gusfield 1997) over the window read backwards: what lies in [left, right) is known to be like
// the end, so that every token is compared once.
void Dry::measure(std::span<const int32_t> window, uint32_t most) {
  const size_t n = window.size();
  const auto back = [&](size_t i) { return window[n - 1 - i]; };
  size_t left = 0, right = 0;
  for (size_t i = 1; i < n; ++i) {
    size_t length = i < right ? std::min<size_t>(right - i, matches_[i - left]) : 0;
    while (length < most && i + length < n && back(length) == back(i + length)) ++length;
    matches_[i] = static_cast<uint32_t>(length);
    if (i + length > right) {
      left = i;
      right = i + length;
    }
  }
}

std::span<const Dry::Penalty> Dry::penalties() {
  found_.clear();
  std::span<const int32_t> window = history_;
  if (last_ > 0 && window.size() > last_) window = window.last(last_);
  const uint32_t most = unbroken(window), least = std::max(allowed_, 1U);
  if (most < least) return {};
  measure(window, most);
  for (size_t i = 1; i < window.size(); ++i) {
    const int32_t next = window[window.size() - i];
    if (matches_[i] < least || breaks(next)) continue;
    uint32_t& longest = longest_[static_cast<size_t>(next)];
    if (longest == 0) found_.push_back({next, 0});
    longest = std::max(longest, matches_[i]);
  }
  for (Penalty& p : found_) p.amount = amount(std::exchange(longest_[static_cast<size_t>(p.token)], 0U));
  return found_;
}

}  // namespace hearth::sampling
