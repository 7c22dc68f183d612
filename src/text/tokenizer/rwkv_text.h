#pragma once

#include <string>
#include <string_view>

namespace hearth::text {

// RWKV vocabularies escape their texts: \n \t \r \xHH \\ \' \". A backslash before anything else is dropped.
std::string unescape_rwkv(std::string_view text);

}  // namespace hearth::text
