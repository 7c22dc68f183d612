#pragma once

#include <cstdint>
#include <vector>

#include "text/output.h"
#include "text/token_filter.h"
#include "text/tokenizer.h"
#include "worker/answer_writer.h"

namespace hearth {

// Ends a thinking that has taken as many tokens as it may: from then on the marker that ends it is the only
// thing that can be drawn, token by token, and after it everything again. What else restricts the text is
// told of every token and is asked for all others.
class ThinkingBudget final : public TokenFilter {
 public:
  // `reply` says whether the text so far is thinking; it and `inner` (null: nothing else restricts) must
  // outlive this.
  ThinkingBudget(uint32_t tokens, std::vector<TokenId> end, const AnswerWriter& reply, TokenFilter* inner)
      : left_(tokens), end_(std::move(end)), reply_(reply), inner_(inner) {}

  void mask(std::span<uint64_t> allowed) const override;
  void accept(TokenId token) override;

 private:
  bool forces() const;

  uint32_t left_;
  std::vector<TokenId> end_;
  size_t written_ = 0;  // of end_
  const AnswerWriter& reply_;
  TokenFilter* inner_;
};

// The tokens that end a thinking of this format; none: it has no such marker. `calls`: a tool may be called
// instead of an answer.
std::vector<TokenId> thinking_end(const OutputFormat& format, bool calls, const Tokenizer& tokenizer);

}  // namespace hearth
