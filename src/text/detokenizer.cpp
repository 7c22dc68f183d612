#include "text/detokenizer.h"

#include <utility>

#include "text/tokenizer.h"
#include "text/tokenizer/utf8.h"

namespace hearth {

namespace {

constexpr std::string_view kReplacementText = "\xEF\xBF\xBD";

// Whether more bytes could make these (at most 3) one character.
bool may_become_character(std::string_view bytes) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  const uint8_t lead = byte(0);
  const size_t size = lead >= 0xC2 && lead <= 0xDF   ? 2
                      : lead >= 0xE0 && lead <= 0xEF ? 3
                      : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                     : 0;
  if (bytes.size() >= size) return false;
  for (size_t i = 1; i < bytes.size(); ++i)
    if ((byte(i) & 0xC0) != 0x80) return false;
  if (bytes.size() < 2) return true;
  // The second byte rules out overlong forms, surrogates and what lies above U+10FFFF.
  if (lead == 0xE0) return byte(1) >= 0xA0;
  if (lead == 0xED) return byte(1) < 0xA0;
  if (lead == 0xF0) return byte(1) >= 0x90;
  if (lead == 0xF4) return byte(1) < 0x90;
  return true;
}

}  // namespace

void Utf8Stream::push(std::string_view bytes, std::string& out) {
  held_.append(bytes);
  std::string_view rest = held_;
  while (!rest.empty()) {
    const size_t good = text::valid_utf8_size(rest);
    out.append(rest.substr(0, good));
    rest.remove_prefix(good);
    if (rest.empty() || (rest.size() < 4 && may_become_character(rest))) break;
    out.append(kReplacementText);
    rest.remove_prefix(1);
  }
  held_.erase(0, held_.size() - rest.size());
}

void Utf8Stream::flush(std::string& out) {
  for (size_t i = 0; i < held_.size(); ++i) out.append(kReplacementText);
  held_.clear();
}

Detokenizer::Detokenizer(const Tokenizer& tokenizer, DetokenizeOptions options)
    : tokenizer_(tokenizer), options_(options), at_start_(options.start_of_text) {}

std::string Detokenizer::push(TokenId token) {
  if (!options_.show_control && tokenizer_.is_control(token)) return {};
  std::string_view piece = tokenizer_.piece(token);
  if (piece.empty()) return {};
  if (at_start_ && tokenizer_.strips_leading_space() && piece.starts_with(' ')) piece.remove_prefix(1);
  at_start_ = false;
  std::string out;
  stream_.push(piece, out);
  return out;
}

std::string Detokenizer::flush() {
  std::string out;
  stream_.flush(out);
  at_start_ = options_.start_of_text;
  return out;
}

}  // namespace hearth
