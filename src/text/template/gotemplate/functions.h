#pragma once

#include <limits>
#include <span>
#include <string_view>

#include "text/template/gotemplate/value.h"

namespace hearth::gotmpl {

struct Environment;

// A function that templates can call.
struct Builtin {
  enum class Stops : uint8_t { never, at_false, at_true };  // and, or: arguments behind are not evaluated
  static constexpr size_t any = std::numeric_limits<size_t>::max();

  std::string_view name;
  size_t least, most;  // arguments
  Value (*call)(const Environment&, std::span<const Value>);
  Stops stops = Stops::never;
};

// Null when there is none.
const Builtin* find_builtin(std::string_view name);

}  // namespace hearth::gotmpl
