#include "text/grammar/codepoints.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "base/error.h"

namespace hearth::grammar {

namespace {

constexpr char32_t highest = 0x10FFFF;
constexpr CodepointRange surrogates{0xD800, 0xDFFF};

size_t encode(char32_t c, std::array<uint8_t, 4>& bytes) {
  if (c < 0x80) {
    bytes[0] = static_cast<uint8_t>(c);
    return 1;
  }
  const size_t size = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (size_t i = size - 1; i > 0; --i, c >>= 6) bytes[i] = static_cast<uint8_t>(0x80 | (c & 0x3F));
  bytes[0] = static_cast<uint8_t>((0xF00 >> size) | c);
  return size;
}

// Both ends have forms of the same length. Cuts where the lower bytes do not run through their whole range.
void aligned(CodepointRange range, const std::function<void(std::span<const ByteRange>)>& emit) {
  for (char32_t low = 0x3F; low < 0x1000000; low = low << 6 | 0x3F) {
    if ((range.first & ~low) == (range.last & ~low)) break;
    if ((range.first & low) != 0) {
      aligned({range.first, range.first | low}, emit);
      aligned({(range.first | low) + 1, range.last}, emit);
      return;
    }
    if ((range.last & low) != low) {
      aligned({range.first, (range.last & ~low) - 1}, emit);
      aligned({range.last & ~low, range.last}, emit);
      return;
    }
  }
  std::array<uint8_t, 4> first{}, last{};
  const size_t size = encode(range.first, first);
  encode(range.last, last);
  std::array<ByteRange, 4> bytes;
  for (size_t i = 0; i < size; ++i) bytes[i] = {first[i], last[i]};
  emit(std::span(bytes.data(), size));
}

}  // namespace

CodepointSet::CodepointSet(const std::vector<CodepointRange>& ranges) {
  std::vector<CodepointRange> parts;
  for (CodepointRange r : ranges) {
    r.last = std::min(r.last, highest);
    if (r.first > r.last) continue;
    if (r.first < surrogates.first)
      parts.push_back({r.first, std::min<char32_t>(r.last, surrogates.first - 1)});
    if (r.last > surrogates.last) parts.push_back({std::max<char32_t>(r.first, surrogates.last + 1), r.last});
  }
  std::sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const CodepointRange& r : parts) {
    if (!ranges_.empty() && r.first <= ranges_.back().last + 1) {
      ranges_.back().last = std::max(ranges_.back().last, r.last);
    } else {
      ranges_.push_back(r);
    }
  }
}

CodepointSet CodepointSet::all() { return CodepointSet({{0, highest}}); }

bool CodepointSet::contains(char32_t codepoint) const noexcept {
  const auto after = std::upper_bound(ranges_.begin(), ranges_.end(), codepoint,
                                      [](char32_t c, const CodepointRange& r) { return c < r.first; });
  return after != ranges_.begin() && codepoint <= std::prev(after)->last;
}

CodepointSet CodepointSet::inverted() const {
  std::vector<CodepointRange> gaps;
  char32_t next = 0;
  for (const CodepointRange& r : ranges_) {
    if (r.first > next) gaps.push_back({next, r.first - 1});
    next = r.last + 1;
  }
  if (next <= highest) gaps.push_back({next, highest});
  return CodepointSet(gaps);
}

CodepointSet CodepointSet::intersected(const CodepointSet& other) const {
  std::vector<CodepointRange> common;
  for (size_t i = 0, j = 0; i < ranges_.size() && j < other.ranges_.size();) {
    const CodepointRange a = ranges_[i], b = other.ranges_[j];
    if (std::max(a.first, b.first) <= std::min(a.last, b.last))
      common.push_back({std::max(a.first, b.first), std::min(a.last, b.last)});
    a.last < b.last ? ++i : ++j;
  }
  return CodepointSet(common);
}

CodepointSet CodepointSet::minus(const CodepointSet& other) const { return intersected(other.inverted()); }

CodepointSet CodepointSet::joined(const CodepointSet& other) const {
  std::vector<CodepointRange> both = ranges_;
  both.insert(both.end(), other.ranges_.begin(), other.ranges_.end());
  return CodepointSet(both);
}

void utf8_sequences(CodepointRange range, const std::function<void(std::span<const ByteRange>)>& emit) {
  for (const char32_t limit : {char32_t{0x7F}, char32_t{0x7FF}, char32_t{0xFFFF}, highest}) {
    if (range.first > limit) continue;
    aligned({range.first, std::min(range.last, limit)}, emit);
    if (range.last <= limit) return;
    range.first = limit + 1;
  }
}

void append_utf8(std::string& text, char32_t codepoint) {
  std::array<uint8_t, 4> bytes{};
  const size_t size = encode(codepoint, bytes);
  text.append(reinterpret_cast<const char*>(bytes.data()), size);
}

char32_t take_codepoint(std::string_view& text) {
  const auto lead = static_cast<uint8_t>(text.empty() ? 0xFF : text[0]);
  const size_t size = lead < 0x80   ? 1
                      : lead < 0xC2 ? 0
                      : lead < 0xE0 ? 2
                      : lead < 0xF0 ? 3
                      : lead < 0xF5 ? 4
                                    : 0;
  char32_t c = size == 1 ? lead : size == 0 ? 0 : lead & (0x7FU >> size);
  bool good = size > 0 && text.size() >= size;
  for (size_t i = 1; good && i < size; ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    good = (byte & 0xC0) == 0x80;
    c = c << 6 | (byte & 0x3FU);
  }
  const bool overlong = (size == 3 && c < 0x800) || (size == 4 && c < 0x10000);
  const bool outside = c > highest || (c >= surrogates.first && c <= surrogates.last);
  if (!good || overlong || outside)
    throw Error(Code::bad_request, "the text is not valid UTF-8", "send it encoded as UTF-8");
  text.remove_prefix(size);
  return c;
}

}  // namespace hearth::grammar
