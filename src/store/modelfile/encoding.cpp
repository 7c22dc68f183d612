#include "store/modelfile/encoding.h"

#include <cstdint>

namespace hearth {
namespace {

constexpr uint32_t replacement = 0xFFFD;

void append_utf8(std::string& out, uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | (c >> 6));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | (c >> 12));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (c >> 18));
    out += static_cast<char>(0x80 | ((c >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

// Joiners and direction marks stay, unlike in Ollama: emoji and several scripts are broken without them.
bool is_dropped(uint32_t c) {
  if (c == '\n' || c == '\t') return false;
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0xFEFF;
}

void append(std::string& out, uint32_t c) {
  if (!is_dropped(c)) append_utf8(out, c);
}

// The character at `at`, which moves behind it; a byte that fits nowhere is a character of its own.
uint32_t next_utf8(std::string_view bytes, size_t& at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  const uint8_t first = byte(at++);
  if (first < 0x80) return first;
  const int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
  if (first < 0xC2 || first > 0xF4) return replacement;
  uint32_t c = first & (0x3FU >> more);
  for (int i = 0; i < more; ++i) {
    if (at + i >= bytes.size() || (byte(at + i) & 0xC0) != 0x80) return replacement;
    c = (c << 6) | (byte(at + i) & 0x3FU);
  }
  const uint32_t smallest = more == 3 ? 0x10000 : more == 2 ? 0x800 : 0x80;
  if (c < smallest || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) return replacement;
  at += static_cast<size_t>(more);
  return c;
}

std::string decode_utf16(std::string_view bytes, bool big_endian) {
  const auto unit = [&](size_t at) -> uint32_t {
    const auto a = static_cast<uint8_t>(bytes[at]), b = static_cast<uint8_t>(bytes[at + 1]);
    return big_endian ? (static_cast<uint32_t>(a) << 8) | b : (static_cast<uint32_t>(b) << 8) | a;
  };
  std::string out;
  for (size_t at = 0; at + 1 < bytes.size(); at += 2) {
    uint32_t c = unit(at);
    if (c >= 0xD800 && c < 0xDC00 && at + 3 < bytes.size()) {
      const uint32_t low = unit(at + 2);
      if (low >= 0xDC00 && low < 0xE000) {
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
        at += 2;
      }
    }
    append(out, c >= 0xD800 && c < 0xE000 ? replacement : c);
  }
  return out;
}

}  // namespace

std::string decode_text(std::string_view bytes) {
  if (bytes.starts_with("\xFF\xFE")) return decode_utf16(bytes.substr(2), false);
  if (bytes.starts_with("\xFE\xFF")) return decode_utf16(bytes.substr(2), true);
  std::string out;
  out.reserve(bytes.size());
  for (size_t at = 0; at < bytes.size();) append(out, next_utf8(bytes, at));
  return out;
}

}  // namespace hearth
