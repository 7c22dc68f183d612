#include "text/tokenizer/byte_level.h"

#include <array>

#include "text/tokenizer/utf8.h"

namespace hearth::text {

namespace {

struct Letters {
  std::array<uint16_t, 256> of_byte{};
  std::array<int16_t, 512> byte_of{};

  Letters() {
    byte_of.fill(-1);
    uint16_t next = 256;
    for (uint16_t byte = 0; byte < 256; ++byte) {
      const bool prints = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD);
      const uint16_t letter = prints ? byte : next++;
      of_byte[byte] = letter;
      byte_of[letter] = static_cast<int16_t>(byte);
    }
  }
};

const Letters& letters() {
  static const Letters table;
  return table;
}

}  // namespace

std::optional<std::string> bytes_from_letters(std::string_view spelled) {
  std::string bytes;
  bytes.reserve(spelled.size());
  for (size_t at = 0; at < spelled.size();) {
    const Character c = decode_character(spelled, at);
    if (!c.valid || c.code >= letters().byte_of.size() || letters().byte_of[c.code] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(letters().byte_of[c.code]));
    at += c.size;
  }
  return bytes;
}

std::string letters_from_bytes(std::string_view bytes) {
  std::string spelled;
  for (char c : bytes) append_utf8(spelled, letters().of_byte[static_cast<uint8_t>(c)]);
  return spelled;
}

}  // namespace hearth::text
