#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/id.h"

namespace hearth {

struct SamplingOptions;
using TokenSet = std::vector<uint64_t>;  // a bit per token

namespace sampling {

// The longest end of the text that stood in it before, for every token that followed it there: such a token
// would repeat one more. "DRY" (p-e-w 2024, text-generation-webui pull request 5637): a token that would
// lengthen a repetition of n tokens loses multiplier · base^(n − allowed_length) of its score, where n is at
// least the allowed length. Repetitions do not reach over tokens that break sequences, and those are never
// penalised themselves.
class Dry {
 public:
  struct Penalty {
    int32_t token = 0;
    float amount = 0;
  };

  Dry() = default;  // remembers nothing
  Dry(const SamplingOptions& options, uint32_t vocabulary);

  // Allocates where its memory grows; penalties() does not.
  void add(TokenId token);
  // What each token that would lengthen a repetition loses, in no order. Linear in the window.
  std::span<const Penalty> penalties();

 private:
  bool breaks(int32_t token) const;
  float amount(uint32_t length) const;
  uint32_t unbroken(std::span<const int32_t> window) const;
  void measure(std::span<const int32_t> window, uint32_t most);

  float multiplier_ = 0, base_ = 1;
  uint32_t allowed_ = 0;
  size_t last_ = 0;  // most tokens of the window; 0 = no bound
  std::shared_ptr<const TokenSet> breakers_;
  std::vector<int32_t> history_;   // its end is the window; −1 = outside of the vocabulary
  std::vector<uint32_t> matches_;  // per place of the window, counted from its end
  std::vector<uint32_t> longest_;  // [vocabulary] of the repetition that the token would lengthen; else 0
  std::vector<Penalty> found_;
};

}  // namespace sampling
}  // namespace hearth
