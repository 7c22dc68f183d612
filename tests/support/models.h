#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/json.h"

namespace hearth::test {

// The recipe of a reference model with a vocabulary of its size: the 256 bytes, two control tokens (<s> is
// BOS,
// </s> EOS) and fillers; `chat_template` where not empty.
Json with_byte_tokens(Json recipe, const std::string& chat_template = "");

}  // namespace hearth::test
