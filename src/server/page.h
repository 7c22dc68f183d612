#pragma once

#include <string_view>

namespace hearth {

// What a browser gets at "/": one page that needs nothing from elsewhere.
std::string_view page() noexcept;

}  // namespace hearth
