#pragma once

// One name for the JSON library (Boost.JSON: insertion order kept, 64-bit integers, bounded nesting).
#include <boost/json.hpp>

namespace hearth {

namespace json = boost::json;
using Json = boost::json::value;

}  // namespace hearth
