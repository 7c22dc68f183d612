#pragma once

#include <string>
#include <string_view>

namespace hearth {

// UTF-8 text from UTF-8 or, with a byte order mark, UTF-16 of either order. What is not valid becomes U+FFFD;
// control characters other than newline and tab are dropped.
std::string decode_text(std::string_view bytes);

}  // namespace hearth
