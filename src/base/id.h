#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace hearth {

// A number with a meaning: a page number cannot be passed where a sequence number is wanted.
template <class Tag, class T = uint32_t>
struct Id {
  T value{};
  // NOLINTNEXTLINE(modernize-use-nullptr): Clang 14 takes the 0 of a comparison for a pointer.
  friend auto operator<=>(const Id&, const Id&) = default;
};

using TokenId = Id<struct TokenTag, int32_t>;
using PageId = Id<struct PageTag>;
using SeqId = Id<struct SeqTag>;
using RequestId = Id<struct RequestTag, uint64_t>;

}  // namespace hearth

template <class Tag, class T>
struct std::hash<hearth::Id<Tag, T>> {
  size_t operator()(const hearth::Id<Tag, T>& id) const noexcept { return std::hash<T>{}(id.value); }
};
