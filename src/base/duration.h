#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace hearth {

// "1h30m", "300ms", "-1m", "0": numbers with units ns us µs ms s m h, added up; none for anything else. Sums
// beyond 290 years count as that.
std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);

}  // namespace hearth
