#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hearth {

// Who wrote a piece of a prompt. Text of origin `user` can never become a special token.
enum class Origin : uint8_t { model, user };

struct Part {
  std::string text;
  Origin origin = Origin::model;
};

// A rendered chat template: the template's own text and the users' text, in order.
using Prompt = std::vector<Part>;

}  // namespace hearth
