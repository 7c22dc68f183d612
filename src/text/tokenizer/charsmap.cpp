#include "text/tokenizer/charsmap.h"

#include <fmt/format.h>

#include "base/error.h"

namespace hearth::text {

namespace {

uint32_t little_endian(std::string_view bytes, size_t at) noexcept {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i)
    value |= static_cast<uint32_t>(static_cast<uint8_t>(bytes[at + i])) << (8 * i);
  return value;
}

// The parts of a unit: the byte that leads to it, where its children lie, whether a value lies there.
uint32_t label(uint32_t unit) noexcept { return unit & 0x800000FFu; }
uint32_t offset(uint32_t unit) noexcept { return unit >> 10 << ((unit & 0x200u) >> 6); }
bool has_value(uint32_t unit) noexcept { return (unit >> 8 & 1) != 0; }
uint32_t value(uint32_t unit) noexcept { return unit & 0x7FFFFFFFu; }

}  // namespace

CharacterMap::CharacterMap(const std::vector<uint8_t>& bytes) {
  if (bytes.empty()) return;
  const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const size_t size = all.size() < 4 ? 0 : little_endian(all, 0);
  if (all.size() < 4 || size % 4 != 0 || size > all.size() - 4)
    throw Error(
        Code::corrupt_file,
        fmt::format("tokenizer.ggml.precompiled_charsmap of {} bytes has an array of {}", all.size(), size),
        "the model file is damaged or was made by a faulty converter");
  units_ = all.substr(4, size);
  texts_ = all.substr(4 + size);
}

std::optional<uint32_t> CharacterMap::unit(size_t at) const noexcept {
  if (at >= units_.size() / 4) return std::nullopt;
  return little_endian(units_, at * 4);
}

std::optional<CharacterMap::Replacement> CharacterMap::longest(std::string_view text) const noexcept {
  std::optional<Replacement> best;
  auto node = unit(0);
  if (!node) return best;
  size_t place = offset(*node);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    place ^= byte;
    node = unit(place);
    if (!node || label(*node) != byte) break;
    place ^= offset(*node);
    if (!has_value(*node)) continue;
    const auto leaf = unit(place);
    if (!leaf || value(*leaf) >= texts_.size()) continue;
    const std::string_view rest = texts_.substr(value(*leaf));
    best = Replacement{rest.substr(0, rest.find('\0')), i + 1};
  }
  return best;
}

}  // namespace hearth::text
