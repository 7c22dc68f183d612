#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hearth::text {

// Byte-level vocabularies spell every byte as a printable character: those of Latin-1 that print stand for
// themselves, the other 68 bytes are U+0100, U+0101 … in order.

// The bytes that a token's text spells; none if a character of it spells no byte.
std::optional<std::string> bytes_from_letters(std::string_view letters);

// The spelling of some bytes.
std::string letters_from_bytes(std::string_view bytes);

}  // namespace hearth::text
