#include "text/grammar/decimals.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "text/grammar/json_rules.h"

namespace hearth::grammar {

namespace {

constexpr size_t integer_digits = 18, number_digits = 15;
constexpr size_t longest_bound = 20;  // digits of the largest 64-bit integer

int compare_magnitudes(const Decimal& a, const Decimal& b) {
  if (a.digits.size() != b.digits.size()) return a.digits.size() < b.digits.size() ? -1 : 1;
  if (const int order = a.digits.compare(b.digits); order != 0) return order;
  return a.fraction.compare(b.fraction);  // no trailing zeros: a prefix is less
}

// Decimals from `low` to `high` (neither is negative) without sign, digit by digit. A state knows how many
// digits there were, how many there will be before the point, and whether they are those of a bound so far
// ("tight").
class Digits {
 public:
  Digits(Tree& tree, const Bound& low, const std::optional<Bound>& high, size_t most, bool fractions)
      : tree_(tree), low_(low), high_(high), most_(most), fractions_(fractions) {}

  NodeId node() {
    states_ = 1;
    const size_t shortest = low_.value.digits.size();
    size_t longest = std::max(most_, shortest);
    if (high_)
      longest = std::min(std::max(longest, fractions_ ? 0 : longest_bound), high_->value.digits.size());
    for (size_t length = shortest; length <= longest; ++length) {
      State s{length, 0, false, low_.value.digits.size() == length,
              high_ && high_->value.digits.size() == length};
      step(0, s, length > 1 ? 1 : 0);
    }
    while (!work_.empty()) {
      const State s = work_.back();
      work_.pop_back();
      expand(s);
    }
    return tree_.graph(states_, std::move(edges_), std::move(finals_));
  }

 private:
  struct State {
    size_t length = 0;  // digits before the point
    size_t used = 0;    // digits so far, before the point or (behind) behind it
    bool behind = false, tight_low = false, tight_high = false;
    // NOLINTNEXTLINE(modernize-use-nullptr): Clang 14 takes the 0 of a comparison for a pointer.
    auto operator<=>(const State&) const = default;
  };

  uint32_t number(State s) {
    // What is free of both bounds only counts the digits that are left.
    if (!fractions_ && !s.tight_low && !s.tight_high) s = {s.length - s.used, 0, true, false, false};
    const auto [it, fresh] = numbers_.emplace(s, states_);
    if (fresh) {
      ++states_;
      work_.push_back(s);
    }
    return it->second;
  }

  static int digit_of(const Decimal& bound, const State& s) {
    const std::string& digits = s.behind ? bound.fraction : bound.digits;
    return s.used < digits.size() ? digits[s.used] - '0' : 0;
  }

  void edge(uint32_t from, int first, int last, uint32_t to) {
    edges_.push_back(
        {from,
         tree_.set(CodepointSet({{static_cast<char32_t>('0' + first), static_cast<char32_t>('0' + last)}})),
         to});
  }

  // The next digit, at least `first`.
  void step(uint32_t from, const State& s, int first) {
    int low = first, high = 9;
    if (s.tight_low) low = std::max(low, digit_of(low_.value, s));
    if (s.tight_high) high = std::min(high, digit_of(high_->value, s));
    for (int digit = low; digit <= high;) {
      State next = s;
      ++next.used;
      next.tight_low = s.tight_low && digit == digit_of(low_.value, s);
      next.tight_high = s.tight_high && digit == digit_of(high_->value, s);
      int last = digit;
      if (!next.tight_low && !next.tight_high) {
        last = high;
        if (s.tight_high && high == digit_of(high_->value, s)) --last;
      }
      edge(from, digit, last, number(next));
      digit = last + 1;
    }
  }

  // Whether the number so far is within the bounds.
  bool complete(const State& s) const {
    const auto rest_is_zero = [&](const Decimal& bound) {
      return !s.behind ? bound.fraction.empty() : s.used >= bound.fraction.size();
    };
    if (s.tight_low && (!rest_is_zero(low_.value) || low_.exclusive)) return false;
    return !(s.tight_high && rest_is_zero(high_->value) && high_->exclusive);
  }

  void expand(const State& s) {
    const uint32_t here = numbers_.at(s);
    if (!fractions_ && s.behind) {  // free: `length` digits are left
      if (s.length == 0) finals_.push_back(here);
      if (s.length > 0) edge(here, 0, 9, number({s.length - 1, 0, true, false, false}));
      return;
    }
    if (!s.behind && s.used < s.length) {
      step(here, s, 0);
      return;
    }
    if (complete(s) && (!s.behind || s.used > 0)) finals_.push_back(here);
    if (!fractions_) return;
    if (!s.behind) {
      if (s.length >= number_digits) return;
      State behind = s;
      behind.behind = true;
      behind.used = 0;
      edges_.push_back({here, tree_.literal("."), number(behind)});
    } else if (s.length + s.used < number_digits) {
      step(here, s, 0);
    }
  }

  Tree& tree_;
  const Bound& low_;
  const std::optional<Bound>& high_;
  size_t most_;
  bool fractions_;
  uint32_t states_ = 0;
  std::map<State, uint32_t> numbers_;
  std::vector<State> work_;
  std::vector<GraphEdge> edges_;
  std::vector<uint32_t> finals_;
};

NodeId between(Tree& tree, const std::optional<Bound>& low, const std::optional<Bound>& high, size_t most,
               bool fractions) {
  std::vector<NodeId> ways;
  if (!high || !high->value.negative) {
    const Bound from = low && !low->value.negative ? *low : Bound{};
    ways.push_back(Digits(tree, from, high, most, fractions).node());
  }
  if (!low || low->value.negative) {
    // The same with the signs turned round; never "-0".
    Bound from{{}, true};
    std::optional<Bound> to;
    if (high && high->value.negative) from = *high;
    if (low) to = *low;
    from.value.negative = false;
    if (to) to->value.negative = false;
    ways.push_back(tree.sequence({tree.literal("-"), Digits(tree, from, to, most, fractions).node()}));
  }
  return tree.choice(std::move(ways));
}

}  // namespace

Decimal to_decimal(const Json& number) {
  std::string text = json_number(number);
  if (number.is_double()) text = fmt::format("{}", number.get_double());
  Decimal result;
  if (text[0] == '-') {
    result.negative = true;
    text.erase(0, 1);
  }
  int exponent = 0;
  if (const size_t e = text.find_first_of("eE"); e != std::string::npos) {
    exponent = std::stoi(text.substr(e + 1));
    text.resize(e);
  }
  const size_t point = std::min(text.find('.'), text.size());
  result.digits = text.substr(0, point);
  if (point < text.size()) result.fraction = text.substr(point + 1);
  for (; exponent > 0; --exponent) {
    result.digits += result.fraction.empty() ? '0' : result.fraction[0];
    if (!result.fraction.empty()) result.fraction.erase(0, 1);
  }
  for (; exponent < 0; ++exponent) {
    result.fraction.insert(0, 1, result.digits.empty() ? '0' : result.digits.back());
    if (!result.digits.empty()) result.digits.pop_back();
  }
  result.digits.erase(0, std::min(result.digits.find_first_not_of('0'), result.digits.size()));
  if (result.digits.empty()) result.digits.assign(1, '0');
  result.fraction.resize(result.fraction.find_last_not_of('0') + 1);
  if (result.is_zero()) result.negative = false;
  return result;
}

int compare(const Decimal& a, const Decimal& b) {
  if (a.negative != b.negative) return a.negative ? -1 : 1;
  return a.negative ? compare_magnitudes(b, a) : compare_magnitudes(a, b);
}

NodeId integers_between(Tree& tree, const std::optional<Bound>& low, const std::optional<Bound>& high) {
  return between(tree, low, high, integer_digits, false);
}

NodeId numbers_between(Tree& tree, const std::optional<Bound>& low, const std::optional<Bound>& high) {
  return between(tree, low, high, number_digits - 1, true);
}

}  // namespace hearth::grammar
