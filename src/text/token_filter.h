#pragma once

#include <cstdint>
#include <span>

#include "base/id.h"

namespace hearth {

// Restricts what may be generated next (a grammar, a schema).
class TokenFilter {
 public:
  virtual ~TokenFilter() = default;
  // Clears the bits of tokens that are not allowed now: bit i % 64 of word i / 64 is token i. All bits come
  // in set.
  virtual void mask(std::span<uint64_t> allowed) const = 0;
  // The token was chosen.
  virtual void accept(TokenId token) = 0;
};

}  // namespace hearth
